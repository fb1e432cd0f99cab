#include "nvmf/keep_alive.h"

#include <algorithm>

#include "base/simulation.h"
#include "nvmf/controller.h"
#include "nvmf/shard.h"

namespace weft::nvmf {

void KeepAlive::set_timeout_ms(uint32_t kato_ms) {
  kato_ms_ = uint32_t((uint64_t{kato_ms} + 999) / 1000 * 1000);
  reactor_.disarm(timer_);
  if (kato_ms_ != 0 || controller_.is_discovery()) arm(reactor_.now());
}

/// 1.25 KATO of silence make the question; its answer comes at once, well before 1.5 KATO.
Duration KeepAlive::patience() const {
  if (kato_ms_ == 0) return milliseconds(controller_.limits().discovery_idle_ms);
  if (WEFT_PLANTED("keep-alive-impatient")) return milliseconds(kato_ms_) / 4;
  if (WEFT_PLANTED("keep-alive-patient")) return milliseconds(kato_ms_) * 7 / 4;
  return milliseconds(kato_ms_) * 5 / 4;
}

void KeepAlive::arm(Instant last_activity) { reactor_.arm_at(timer_, last_activity + patience()); }

void KeepAlive::check() {
  last_activity_ = gone_activity_;
  if (const Queue* admin = controller_.admin_queue()) last_activity_ = std::max(last_activity_, admin->last_activity());
  if (reactor_.now() - last_activity_ < patience()) return arm(last_activity_);
  answers_missing_ = WEFT_PLANTED("keep-alive-deaf-to-io-queues") ? 0 : controller_.io_queues().size();
  if (answers_missing_ == 0) return answered({});
  for (const Controller::IoQueue& entry : controller_.io_queues()) {
    // The queue outlives the message: see Queue::come_home(). The controller does too: it waits for its queues.
    entry.shard->reactor().post([this, queue = entry.queue] {
      reactor_.post([this, last = queue->last_activity()] {
        --answers_missing_;
        answered(last);
      });
    });
  }
}

void KeepAlive::answered(Instant last_activity) {
  last_activity_ = std::max(last_activity_, last_activity);
  if (answers_missing_ > 0) return;
  if (controller_.admin_queue() == nullptr) return;  // ending already
  if (reactor_.now() - last_activity_ < patience()) {
    WEFT_PROBE("nvmf/keep-alive-saved-by-io-queue");
    return arm(last_activity_);
  }
  WEFT_PROBE("nvmf/keep-alive-expired");
  reactor_.log().warn("controller {} of {}: nothing was heard of host {} for {} ms: the association ends", controller_.cntlid(),
                      controller_.subsystem().config().nqn, controller_.host().nqn, (reactor_.now() - last_activity_).milliseconds());
  controller_.fail();
  controller_.end(CloseReason::kKeepAliveExpired);
}

}  // namespace weft::nvmf
