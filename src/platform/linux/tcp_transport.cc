#include "platform/linux/tcp_transport.h"

template class weft::tcp::Acceptor<weft::platform::EpollNet>;
