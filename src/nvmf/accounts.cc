#include "nvmf/accounts.h"

#include "base/assert.h"

namespace weft::nvmf {

Accounts::~Accounts() {
  WEFT_ASSERT(presences_.empty());
  pool_.close_account(strangers_);
}

BufferAccount& Accounts::join(ControllerId controller) {
  Presence& presence = presences_[controller];
  if (presence.queues++ == 0) presence.account = &pool_.open_account();
  return *presence.account;
}

void Accounts::leave(ControllerId controller) {
  const auto presence = presences_.find(controller);
  WEFT_ASSERT(presence != presences_.end());
  if (--presence->second.queues > 0) return;
  pool_.close_account(*presence->second.account);
  presences_.erase(presence);
}

}  // namespace weft::nvmf
