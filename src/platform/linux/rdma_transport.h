// The RDMA transport over libibverbs: rdma::Acceptor, compiled once.
#pragma once
#include "platform/linux/ib_verbs.h"
#include "transport/rdma/acceptor.h"

namespace weft::platform {

using RdmaTransport = rdma::Acceptor<IbVerbs>;

}  // namespace weft::platform

extern template class weft::rdma::Acceptor<weft::platform::IbVerbs>;
