#include "sim/target_machine.h"

#include "bdev/delay/delay_bdev.h"
#include "bdev/ram/ram_bdev.h"
#include "bdev/uring/uring_bdev.h"
#include "sim/disk_medium.h"
#include "sim/nvme_shapes.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>

namespace weft::sim {
namespace {

constexpr Duration kRestartPause = milliseconds(200);

/// How long a fault is still felt after it was mended: what was late is answered, what was refused meanwhile is
/// answered too.
constexpr Duration kAftermath = seconds(1);

VolumeTraits traits_of(const NamespacePlan& plan, const Disk* disk, uint32_t nsid) {
  VolumeTraits traits{.nsid = nsid,
                      .block_count = plan.blocks,
                      .block_size = plan.block_bytes,
                      .survives_the_process = disk != nullptr};
  if (disk == nullptr) return traits;
  traits.has_volatile_cache = plan.has_volatile_cache;
  // A controller may have no way to deallocate.
  const bool is_zeroed = disk->shape().discarded_reads_zero && plan.medium != MediumKind::kNvme;
  traits.deallocated = is_zeroed ? Deallocated::kZeroed : Deallocated::kKeptOrZeroed;
  return traits;
}

}  // namespace

TargetMachine::TargetMachine(const Setting& setting, Options options)
    : setting_(setting), options_(std::move(options)), random_(options_.seed) {
  for (const SubsystemPlan& subsystem : plan().subsystems) {
    Group& group = groups_.emplace_back();
    for (const NamespacePlan& ns : subsystem.namespaces) {
      Place place{.plan = ns, .blocks = ns.blocks};
      if (ns.medium != MediumKind::kRam && ns.medium != MediumKind::kDelayedRam) {
        const DiskShape shape{.name = fmt::format("disk {}.{}.{}", machine(), groups_.size() - 1, group.places.size() + 1),
                              .size_bytes = (ns.blocks * ns.block_bytes + 4095) / 4096 * 4096,
                              .physical_block_bytes = ns.block_bytes,
                              .alignment = {.memory = random_.one_in(2) ? 512u : 1u, .offset = ns.block_bytes},
                              .has_volatile_cache = ns.has_volatile_cache,
                              .discarded_reads_zero = !random_.one_in(4)};
        place.disk = std::make_unique<Disk>(Disk::World{setting.agenda, setting.referee, setting.trace}, shape,
                                            Prng{random_.next()}, draw_abilities(ns.medium));
        if (ns.medium == MediumKind::kNvme) place.nvme = make_controller(place);
      }
      place.volume = std::make_unique<Volume>(traits_of(place.plan, place.disk.get(), uint32_t(group.places.size() + 1)),
                                              setting.referee);
      group.places.push_back(std::move(place));
    }
  }
}

/// What the disk cannot do for as long as it lives: the device above it finds another way.
DiskOptions TargetMachine::draw_abilities(MediumKind medium) {
  DiskOptions options;
  if (!random_.one_in(4) || medium == MediumKind::kNvme) return options;
  for (const media::Kind kind :
       {media::Kind::kWriteStable, media::Kind::kZero, media::Kind::kZeroDeallocate, media::Kind::kDiscard}) {
    options.is_unsupported[size_t(kind)] = random_.one_in(2);
  }
  return options;
}

std::unique_ptr<NvmeDevice> TargetMachine::make_controller(const Place& place) {
  NvmeShape shape = draw_shape(random_);
  shape.name = shape.serial = place.disk->shape().name;
  return std::make_unique<NvmeDevice>(Disk::World{setting_.agenda, setting_.referee, setting_.trace}, shape,
                                      std::vector<NvmeNamespace>{{.disk = place.disk.get(), .block_count = place.plan.blocks, .block_size = place.plan.block_bytes}},
                                      Prng{random_.next()});
}

std::vector<Volume*> TargetMachine::volumes(size_t subsystem) {
  std::vector<Volume*> volumes;
  for (Place& place : groups_[subsystem].places) volumes.push_back(place.volume.get());
  return volumes;
}

void TargetMachine::expect(Place& place, std::initializer_list<ErrorKind> kinds) {
  for (const ErrorKind kind : kinds) {
    place.expected.push_back(kind);
    place.volume->expect(kind);
  }
}

/// What was lost is lost between two processes, when no host has anything on the way.
void TargetMachine::crash_if_something_was_lost() {
  const auto has_lost = [this](const Group& group) {
    return std::ranges::any_of(group.places, [this](const Place& place) { return has_new_losses(place); });
  };
  if (std::ranges::any_of(groups_, has_lost)) crash();
}

/// A failed sync, or a pulled disk, loses what was not flushed before, as a power cut does.
bool TargetMachine::has_new_losses(const Place& place) const {
  return place.disk != nullptr && place.disk->counts().failed_syncs + place.disk->removals() != place.losses;
}

/// What hosts may expect of the namespaces once the process is gone, and their connections with it.
void TargetMachine::lose_what_a_process_loses() {
  forget_process();
  for (Group& group : groups_) {
    for (Place& place : group.places) {
      place.is_being_added = false;
      if (std::exchange(place.is_being_resized, false)) place.volume->finish_resize();
      place.memory->lose();
      place.volume->process_crashed();
    }
  }
  take_losses();
}

void TargetMachine::forget_process() {
  listening_.reset();
  for (Group& group : groups_) {
    group.subsystem = nullptr;
    group.is_changing = false;
    group.is_to_be_told = false;
    for (auto& [host, since] : group.forbidden) since = setting_.agenda.now();  // the next process is told before it listens
  }
}

void TargetMachine::take_losses() {
  for (Group& group : groups_) {
    for (Place& place : group.places) {
      if (!has_new_losses(place)) continue;
      place.losses = place.disk->counts().failed_syncs + place.disk->removals();
      place.volume->power_cut();
    }
  }
}

void TargetMachine::expect_no_more(Place& place) {
  for (const ErrorKind kind : std::exchange(place.expected, {})) place.volume->expect_no_more(kind);
}

std::vector<Disk*> TargetMachine::disks() {
  std::vector<Disk*> found;
  for (Group& group : groups_) {
    for (Place& place : group.places) {
      if (place.disk != nullptr) found.push_back(place.disk.get());
    }
  }
  return found;
}

void TargetMachine::start() {
  WEFT_ASSERT(process_ == nullptr);
  ++life_;
  state_ = State::kStarting;
  take_losses();  // a disk was pulled while nobody used it
  TargetProcess::Options options{.machine = machine(),
                                 .reactors = plan().reactors,
                                 .limits = plan().limits,
                                 .seed = random_.next(),
                                 .on_log = options_.on_log};
  if (random_.one_in(8)) options.refused_request = random_.below(40);
  auto process = TargetProcess::start(setting_, std::move(options));
  if (!process) {
    setting_.trace.note(setting_.agenda.now(), "target {}: cannot start: {}", machine(), process.error().what());
    return start_after(kRestartPause);
  }
  process_ = std::move(*process);
  for (size_t i = 0; i < groups_.size(); ++i) {
    const auto added = process_->target().add_subsystem(config_of(i));
    WEFT_ASSERT(added.has_value());
    groups_[i].subsystem = *added;
  }
  process_->target().home().post([this] { add_all(0, 0); });
}

void TargetMachine::start_after(Duration pause) {
  state_ = State::kOff;
  setting_.agenda.after(pause, [this, life = life_] {
    if (life == life_ && state_ == State::kOff) start();
  });
}

void TargetMachine::add_all(size_t subsystem, size_t index) {
  if (subsystem == groups_.size()) {
    state_ = State::kServing;
    listen();
    return setting_.trace.note(setting_.agenda.now(), "target {}: serves", machine());
  }
  if (index == groups_[subsystem].places.size()) return add_all(subsystem + 1, 0);
  if (Place& place = this->place(subsystem, index); !place.plan.is_there_at_start) {
    expect(place, {ErrorKind::kGone});
    return add_all(subsystem, index + 1);
  }
  add(subsystem, index, [this, subsystem, index](const Result<void>& added) {
    if (!added) return give_up(added.error());
    add_all(subsystem, index + 1);
  });
}

void TargetMachine::add(size_t subsystem, size_t index, Added done) {
  if (has_new_losses(place(subsystem, index))) {  // it was pulled while nobody had it open
    setting_.agenda.after({}, [this, life = life_] {
      if (life == life_) crash_if_something_was_lost();
    });
    return done(fail(Errc::kBusy, "its disk has lost something"));
  }
  open_device(place(subsystem, index), [this, subsystem, index, done = std::move(done)](Result<std::unique_ptr<bdev::Bdev>> device) mutable {
    if (!device) return done(std::unexpected(device.error()));
    if (groups_[subsystem].subsystem == nullptr) return done(fail(Errc::kNotFound, "the subsystem has gone meanwhile"));
    process_->target().add_namespace(*groups_[subsystem].subsystem, uint32_t(index + 1), make_identity(subsystem, index),
                                     std::move(*device),
                                     [this, subsystem, index, done = std::move(done)](Result<void> added) mutable {
                                       Place& place = this->place(subsystem, index);
                                       if (added && place.is_disk_well) expect_no_more(place);
                                       done(std::move(added));
                                     });
  });
}

void TargetMachine::open_device(Place& place, NvmeSeat::Opened opened) {
  if (place.nvme != nullptr) return process_->open_nvme(*place.nvme, std::move(opened));
  opened(make_device(place));
}

/// Starting has failed half-way: the process ends in order, and another one tries.
void TargetMachine::give_up(const Error& error) {
  setting_.trace.note(setting_.agenda.now(), "target {}: cannot start: {}", machine(), error.what());
  state_ = State::kStopping;
  setting_.agenda.after({}, [this, life = life_] {
    if (life != life_ || process_ == nullptr) return;
    process_->stop([this, life] {
      if (life != life_) return;
      check_nothing_left();
      start_after(kRestartPause);
    });
  });
}

Result<std::unique_ptr<bdev::Bdev>> TargetMachine::make_device(Place& place) {
  const NamespacePlan& ns = place.plan;
  const bool is_delayed = ns.medium == MediumKind::kDelayedRam || ns.medium == MediumKind::kDelayedDisk;
  std::unique_ptr<bdev::Bdev> device;
  if (place.disk != nullptr) {
    auto info = place.disk->info(ns.block_bytes);
    info.block_count = place.blocks;
    device = std::make_unique<bdev::UringBdev<DiskMedium>>(std::make_unique<DiskMedium>(*place.disk), std::move(info),
                                                           process_->memory());
  } else {
    auto ram = bdev::make_ram(*place.memory, "ram", {.block_count = place.blocks, .blocks_available = ns.blocks, .block_size = ns.block_bytes});
    if (!ram) return ram;
    device = std::move(*ram);
  }
  if (is_delayed) device = bdev::make_delay(std::move(device), {.delay = microseconds(int64_t(random_.below(20'000)))});
  return device;
}

nvmf::NamespaceIdentity TargetMachine::make_identity(size_t subsystem, size_t index) {
  nvmf::NamespaceIdentity identity;
  // RAM is new with each process, a disk is the same for ever.
  const bool is_lasting = place(subsystem, index).disk != nullptr;
  const std::byte parts[] = {std::byte(machine() + 1), std::byte(subsystem + 1), std::byte(index + 1),
                             std::byte(is_lasting ? 0 : life_)};
  std::ranges::copy(parts, identity.uuid.begin());
  std::ranges::copy(parts, identity.nguid.begin());
  std::ranges::copy(parts, identity.eui64.begin());
  return identity;
}

void TargetMachine::crash() {
  if (process_ == nullptr) return;
  setting_.trace.note(setting_.agenda.now(), "target {}: crashes", machine());
  bury();
  setting_.network.process_died(machine());
  setting_.rdma.process_died(machine());
  for (Disk* disk : disks()) disk->process_died();
  lose_what_a_process_loses();
  start_after(kRestartPause);
}

void TargetMachine::cut_power() {
  if (state_ == State::kWithoutPower) return;
  setting_.trace.note(setting_.agenda.now(), "target {}: without power", machine());
  bury();
  setting_.rdma.power_lost(machine());
  setting_.network.power_lost(machine());
  for (Disk* disk : disks()) disk->power_cut();
  lose_what_a_process_loses();
  for (Group& group : groups_) {
    for (Place& place : group.places) place.volume->power_cut();
  }
  state_ = State::kWithoutPower;
}

void TargetMachine::restore_power() {
  if (state_ != State::kWithoutPower) return;
  setting_.network.power_returned(machine());
  start_after(kRestartPause);
}

void TargetMachine::bury() {
  ++life_;
  if (process_ == nullptr) return;
  process_->die();
  setting_.graveyard.bury(std::move(process_));
}

TargetMachine::Heal TargetMachine::fail_a_disk(FaultKind kind) {
  std::vector<std::pair<size_t, size_t>> well;
  for (size_t subsystem = 0; subsystem < groups_.size(); ++subsystem) {
    for (size_t index = 0; index < groups_[subsystem].places.size(); ++index) {
      const Place& place = this->place(subsystem, index);
      if (place.disk != nullptr && place.is_disk_well) well.emplace_back(subsystem, index);
    }
  }
  if (well.empty()) return nullptr;
  const auto [subsystem, index] = well[random_.below(well.size())];
  Place& place = this->place(subsystem, index);
  place.is_disk_well = false;
  expect(place, {ErrorKind::kMediaError, ErrorKind::kTimeout, ErrorKind::kFlushFailed, ErrorKind::kGone});
  set_options_of(place, kind);
  return [this, subsystem, index] {
    this->place(subsystem, index).disk->heal();
    setting_.agenda.after(kAftermath, [this, subsystem, index] {
      this->place(subsystem, index).is_disk_well = true;
      reopen(subsystem, index);
    });
  };
}

void TargetMachine::set_options_of(Place& place, FaultKind kind) {
  Disk& disk = *place.disk;
  DiskOptions options = disk.options();
  options.short_one_in = random_.one_in(2) ? 1 + random_.below(8) : 0;
  switch (kind) {
    case FaultKind::kDiskHang:
      disk.hang();
      break;
    case FaultKind::kDiskRemoval:
      disk.remove();
      break;
    case FaultKind::kDiskErrors:
      options.error_one_in = 1 + random_.below(20);
      options.error_number = random_.one_in(4) ? EAGAIN : EIO;
      if (random_.one_in(3)) options.sync_error_one_in = 1 + random_.below(10);
      break;
    default:
      options.lost_one_in = 1 + random_.below(50);
      options.outlier_one_in = 1 + random_.below(50);
  }
  if (place.nvme != nullptr) options.short_one_in = 0;  // a controller transfers whole commands
  disk.set_options(options);
}

/// A namespace whose disk was away, or whose flush has failed, is of no use until it is opened anew.
void TargetMachine::reopen(size_t subsystem, size_t index) {
  if (!is_serving()) return;  // the next process opens it
  crash_if_something_was_lost();
  remove_namespace(subsystem, index);
  setting_.agenda.after(milliseconds(10), [this, subsystem, index] { add_namespace(subsystem, index); });
}

std::string TargetMachine::what_is_left() {
  if (process_ == nullptr || !process_->has_target()) return {};
  std::string left;
  const auto note = [&](std::string_view what, uint64_t count) {
    if (count > 0) left += fmt::format("{}{} {}", left.empty() ? "" : ", ", count, what);
  };
  note("connections", process_->connections());
  for (const auto& shard : process_->target().shards()) {
    note(fmt::format("queues on reactor {}", shard->index()), shard->queue_count());
    note(fmt::format("controllers on reactor {}", shard->index()), shard->controller_count());
    note(fmt::format("chunks of slots on reactor {}", shard->index()), shard->slots().chunks_in_use());
    for (size_t share = 0; share < kShareCount; ++share) {
      note(fmt::format("bytes of buffer share {} on reactor {}", share, shard->index()),
           shard->buffers().bytes_in_use(Share(share)));
    }
    note(fmt::format("device that holds an Io of reactor {}", shard->index()), shard->has_io_in_device() ? 1 : 0);
  }
  for (Disk* disk : disks()) note(fmt::format("operations in {}", disk->shape().name), disk->outstanding());
  return left;
}

void TargetMachine::shut_down(std::function<void()> done) {
  WEFT_ASSERT(is_serving());
  state_ = State::kStopping;
  process_->stop([this, done = std::move(done)] {
    check_nothing_left();
    state_ = State::kOff;
    done();
  });
}

/// Destroys the process, which asserts in each part that nothing is left in it, and looks at what the machine gave it.
void TargetMachine::check_nothing_left() {
  TargetProcess& process = *process_;
  size_t outstanding = 0;
  for (Disk* disk : disks()) outstanding += disk->outstanding();
  if (outstanding > 0)
    setting_.referee.fail(
        "leak", fmt::format("target {}: {} operations are still in its disks after its end", machine(), outstanding));
  process.close();
  if (process.memory().mapped_bytes() > 0) {
    setting_.referee.fail("leak", fmt::format("target {}: {} bytes are still mapped after its end", machine(),
                                              process.memory().mapped_bytes()));
  }
  process_.reset();
  forget_process();
}

}  // namespace weft::sim
