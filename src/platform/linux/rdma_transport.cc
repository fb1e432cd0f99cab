#include "platform/linux/rdma_transport.h"

template class weft::rdma::Acceptor<weft::platform::IbVerbs>;
