#include "nvmf/error_note.h"

#include "nvmf/controller.h"

namespace weft::nvmf {

bool ErrorNote::send(Controller& controller, const nvme::ErrorLogEntry& entry) {
  if (is_away_) return false;
  is_away_ = true;
  controller_ = &controller;
  entry_ = entry;
  controller.reactor().post(*this);
  return true;
}

void ErrorNote::deliver() {
  if (controller_ == nullptr) {
    is_away_ = false;
    return;
  }
  std::exchange(controller_, nullptr)->errors().add(entry_);
  sender_.post(*this);
}

}  // namespace weft::nvmf
