// A controller's properties: CAP, VS, CC, CSTS, NSSR, CRTO, and what setting CC and NSSR does. NVMe Base 2.0 §3.1.3, §3.5, §3.6.
#include "nvmf/controller.h"
#include "nvmf/shard.h"
#include "nvmf/target.h"

namespace weft::nvmf {
namespace {

namespace status = nvme::status;

constexpr uint32_t kReadyTimeout = 15;  // CAP.TO, units of 500 ms: nothing here takes longer but a device that hangs
constexpr uint32_t kIoSqesWanted = 6;   // 64-byte SQEs
constexpr uint32_t kIoCqesWanted = 4;   // 16-byte CQEs

}  // namespace

uint64_t Controller::cap() const {
  return uint64_t{limits().queue_entries - 1}                           // MQES
         | uint64_t{1} << 16                                            // CQR: contiguous queues, always over fabrics
         | uint64_t{kReadyTimeout} << 24                                // TO
         | uint64_t{view_.subsystem.config().has_subsystem_reset} << 36  // NSSRS
         | uint64_t{1} << 37                                            // CSS: NVM command set
         | uint64_t{1} << 59;                                           // CRMS.CRWMS: CRTO says how long
}

std::expected<uint64_t, nvme::Status> Controller::get_property(uint32_t offset, uint32_t size) const {
  const auto four = [size](uint64_t value) -> std::expected<uint64_t, nvme::Status> {
    if (size != 4) return std::unexpected(status::kInvalidField.with_dnr());
    return value;
  };
  switch (offset) {
    case nvme::property::kCap: return size == 8 ? cap() : cap() & 0xffffffff;
    case nvme::property::kCap + 4: return four(cap() >> 32);
    case nvme::property::kVs: return four(nvme::kVersion2_0);
    case nvme::property::kCc: return four(cc_);
    case nvme::property::kCsts: return four(csts_);
    case nvme::property::kNssr: return four(0);
    case nvme::property::kCrto: return four(kReadyTimeout);
    default: return std::unexpected(status::kInvalidField.with_dnr());
  }
}

nvme::Status Controller::set_property(uint32_t offset, uint32_t size, uint64_t value) {
  if (size != 4) return status::kInvalidField.with_dnr();
  const auto written = uint32_t(value);
  switch (offset) {
    case nvme::property::kCc: {
      const nvme::Cc before{cc_}, next{written};
      cc_ = written;
      if (next.shn() != 0 && before.shn() == 0) shut_down();
      if (next.en() && !before.en() && !is_disabling_) enable(next);
      if (!next.en() && before.en() && !is_disabling_) disable();
      return status::kSuccess;
    }
    case nvme::property::kCsts:
      csts_ &= ~(written & nvme::Csts::kNssro);  // write 1 to clear
      return status::kSuccess;
    case nvme::property::kNssr:
      if (!subsystem().config().has_subsystem_reset) return status::kInvalidField.with_dnr();
      if (written == nvme::property::kNssrMagic) reset_subsystem();
      return status::kSuccess;
    default: return status::kInvalidField.with_dnr();
  }
}

void Controller::enable(nvme::Cc next) {
  const bool are_sizes_right = is_discovery() || (next.iosqes() == kIoSqesWanted && next.iocqes() == kIoCqesWanted);
  if (!are_sizes_right || next.mps() != 0 || next.ams() != 0 || (next.css() != 0 && next.css() != 6)) {
    csts_ = nvme::Csts::kCfs;  // and never RDY: the host sees at once that this will not be
    return;
  }
  shard_.reactor().disarm(association_timer_);
  keep_alive_.set_timeout_ms(keep_alive_.timeout_ms());  // a shutdown has stopped it
  csts_ = (csts_ & nvme::Csts::kNssro) | nvme::Csts::kRdy;
}

void Controller::disable() {
  is_disabling_ = true;
  release_events();
  delete_io_queues(CloseReason::kControllerReset, [this] {
    is_disabling_ = false;
    reset_features();
    csts_ &= nvme::Csts::kNssro;
    arm_association_timer();
    if (const nvme::Cc cc{cc_}; cc.en()) enable(cc);  // asked for before the reset was over
  });
}

void Controller::shut_down() {
  csts_ = (csts_ & ~nvme::Csts::kShstMask) | nvme::Csts::kShstOccurring;
  release_events();
  keep_alive_.stop();
  delete_io_queues(CloseReason::kControllerReset, [this] {
    shutdown_flush_ = ShutdownFlush::start(view_, [this] {
      shutdown_flush_ = nullptr;
      csts_ = (csts_ & ~nvme::Csts::kShstMask) | nvme::Csts::kShstComplete;
      arm_association_timer();
    });
  });
}

void Controller::reset_features() {
  features_ = {};
  features_.timestamp_since = shard_.reactor().now();
  io_queues_granted_ = uint16_t(limits().io_queues);
}

void Controller::reset_subsystem() {
  shard_.home().post([&subsystem = subsystem()] {
    subsystem.registry().for_each([](Controller& controller) {
      controller.reactor().post([&controller] { controller.subsystem_was_reset(); });
    });
  });
}

void Controller::subsystem_was_reset() {
  csts_ |= nvme::Csts::kNssro;
  if ((cc_ & 1) != 0) {
    cc_ &= ~uint32_t{1};
    disable();
  }
}

}  // namespace weft::nvmf
