// For tests of the NVMe driver on a simulated device: a small world with one controller, and a process that drives it from one reactor or several.
// Not part of any library.
#pragma once
#include "bdev/nvme/nvme_device.h"
#include "bdev/test_support.h"
#include "core/test_support.h"
#include "nvme/controller.h"
#include "sim/core.h"
#include "sim/nvme_function.h"
#include "sim/nvme_lane.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace weft::sim::testing_support {

struct NvmeRigOptions {
  uint64_t seed = 1;
  NvmeShape shape{};
  DiskOptions disk{};
  uint32_t atomic_bytes = 0;           // of the disks, as the next one
  uint32_t atomic_boundary_bytes = 0;
  uint32_t block_size = 512;
  uint32_t second_block_size = 0;  // of namespace 2, on a disk of its own; 0: there is none
  bool has_volatile_cache = true;
  uint32_t reactors = 1;  // that use the device; the first one is the controller's home
  uint32_t lanes = 8;     // of each reactor, on each namespace
  uint32_t io_entries = 16;
};

/// One life of the driver. Does with the device what platform::NvmeEngine does.
class NvmeProcess {
 public:
  static constexpr size_t kLaneBytes = 256 << 10;  // mapped and unmapped, each

  /// `volumes`: one for each namespace.
  NvmeProcess(Agenda& agenda, NvmeDevice& hardware, std::vector<Volume*> volumes, const NvmeRigOptions& options, Prng random)
      : options_(options), volumes_(std::move(volumes)), random_(random), function_seed_(random_.next()) {
    std::vector<Reactor*> reactors;
    for (uint32_t i = 0; i < options.reactors; ++i) {
      cores_.push_back(std::make_unique<Core>(agenda, random_.next()));
      reactors_.push_back(std::make_unique<Reactor>(Reactor::Options{.index = i}, *cores_.back(), sink_));
      cores_.back()->run(*reactors_.back());
      reactors.push_back(reactors_.back().get());
    }
    const size_t bytes = lane_count() * kLaneBytes;
    mapped_ = std::make_unique<bdev::testing_support::AlignedBytes>(bytes);
    unmapped_ = std::make_unique<bdev::testing_support::AlignedBytes>(bytes);
    place_ = std::make_unique<bdev::NvmeDevice>(home(), reactors, options.shape.name, [this] { is_lost_ = true; });
    take(hardware);
  }

  /// Whether the controller has come up, or why not; nothing: it is still at it.
  const std::optional<Result<void>>& started() const { return started_; }
  nvme::Controller& controller() { return *controller_; }
  const std::vector<std::string>& log() const { return sink_.lines; }
  bool has_logged(std::string_view words) const {
    return std::ranges::any_of(sink_.lines, [&](const std::string& line) { return line.find(words) != std::string::npos; });
  }

  /// Opens the namespaces on every reactor and begins. Requires: it has come up.
  void open() {
    use([this] {
      for (size_t ns = 0; ns < volumes_.size(); ++ns) devices_.push_back(std::move(*place_->make(uint32_t(ns + 1))));
      channels_.resize(volumes_.size() * reactors_.size());
      for (size_t i = 0; i < reactors_.size(); ++i) {
        reactors_[i]->post([this, i] {
          for (size_t ns = 0; ns < volumes_.size(); ++ns) open_on(i, ns);
        });
      }
    });
  }
  bool is_open() const { return lanes_.size() == lane_count(); }
  std::span<const std::unique_ptr<NvmeLane>> lanes() const { return lanes_; }
  const bdev::NvmeDevice& place() const { return *place_; }
  bdev::Bdev& device(size_t ns = 0) { return *devices_[ns]; }
  const bdev::Info& info() const { return devices_[0]->info(); }
  /// To the first namespace from the first reactor, on which the Io ends.
  void submit(bdev::Io& io) {
    home().post([this, &io] { channels_[0]->submit(io); });
  }
  bool takes(bdev::Op op) const { return channels_[0]->takes(op); }
  /// What the device reaches, and what it does not. The lanes have it while they work.
  std::span<std::byte> mapped() { return mapped_->bytes(); }
  std::span<std::byte> unmapped() { return unmapped_->bytes(); }

  // --- while the device comes and goes -----------------------------------------------------------------------------------
  bool is_lost() const { return is_lost_; }
  /// Controller and function go; the block devices stay.
  void let_go() {
    home().post([this] {
      place_->leave([this] { stop_controller(); });
    });
  }
  bool has_let_go() const { return controller_ == nullptr; }
  /// Brings up what is in the place now. Requires: new, or has_let_go().
  void take(NvmeDevice& hardware) {
    function_ = std::make_unique<NvmeFunction>(hardware, Prng{std::exchange(function_seed_, function_seed_ + 1)});
    function_->map_data(mapped_->bytes());
    controller_ = std::make_unique<nvme::Controller>(home(), *function_,
                                                     nvme::ControllerOptions{.io_entries = options_.io_entries,
                                                                             .command_time = milliseconds(400),
                                                                             .admin_time = milliseconds(800),
                                                                             .shutdown_time = milliseconds(500),
                                                                             .look_time = milliseconds(100)});
    is_lost_ = is_used_ = false;
    started_.reset();
    home().post([this] {
      controller_->start([this](Result<void> started) { started_ = started; });
    });
  }
  /// The block devices go on, on what was taken. Requires: it has come up.
  void use_again() {
    use([] {});
  }
  bool is_used() const { return is_used_; }

  /// Gives everything back. Requires: every lane is idle.
  void close() {
    lanes_.clear();
    for (size_t i = 0; i < reactors_.size(); ++i) {
      reactors_[i]->post([this, i] {
        for (size_t at = i; at < channels_.size(); at += reactors_.size()) channels_[at].reset();
        home().post([this] {
          if (++closed_ == reactors_.size()) close_devices();
        });
      });
    }
  }
  bool is_stopped() const { return is_closing_ && controller_ == nullptr; }
  void halt() {
    for (auto& core : cores_) core->halt();
  }

 private:
  Reactor& home() { return *reactors_[0]; }
  size_t lane_count() const { return volumes_.size() * options_.reactors * options_.lanes; }

  void use(std::move_only_function<void()> then) {
    home().post([this, then = std::move(then)]() mutable {
      place_->use(*controller_, [this, then = std::move(then)](Result<void> used) mutable {
        ASSERT_TRUE(used.has_value());
        is_used_ = true;
        then();
      });
    });
  }
  void open_on(size_t reactor, size_t ns) {
    auto& channel = channels_[ns * reactors_.size() + reactor];
    channel = std::move(*devices_[ns]->open_channel(*reactors_[reactor]));
    for (uint32_t i = 0; i < options_.lanes; ++i) {
      const size_t at = lanes_.size() * kLaneBytes;
      const NvmeLane::Place place{mapped_->bytes().subspan(at, kLaneBytes), unmapped_->bytes().subspan(at, kLaneBytes)};
      lanes_.push_back(std::make_unique<NvmeLane>(*reactors_[reactor], *channel, *volumes_[ns], uint32_t(lanes_.size()), place, Prng{random_.next()}));
    }
  }
  void close_devices() {
    is_closing_ = true;
    devices_.clear();
    if (controller_ == nullptr) return;
    is_used_ ? place_->leave([this] { stop_controller(); }) : stop_controller();
  }
  void stop_controller() {
    controller_->stop([this] {
      home().post([this] {  // not from inside the controller
        controller_.reset();
        function_.reset();
      });
    });
  }

  NvmeRigOptions options_;
  std::vector<Volume*> volumes_;
  Prng random_;
  uint64_t function_seed_;
  weft::testing_support::KeepingSink sink_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::unique_ptr<bdev::testing_support::AlignedBytes> mapped_;
  std::unique_ptr<bdev::testing_support::AlignedBytes> unmapped_;
  std::unique_ptr<NvmeFunction> function_;
  std::unique_ptr<nvme::Controller> controller_;
  std::unique_ptr<bdev::NvmeDevice> place_;
  std::vector<std::unique_ptr<bdev::Bdev>> devices_;       // by namespace
  std::vector<std::unique_ptr<bdev::Channel>> channels_;  // by namespace, then reactor
  std::vector<std::unique_ptr<NvmeLane>> lanes_;
  std::optional<Result<void>> started_;
  size_t closed_ = 0;  // reactors
  bool is_lost_ = false;
  bool is_used_ = false;
  bool is_closing_ = false;
};

class NvmeRig {
 public:
  static constexpr Duration kPatience = seconds(60);  // of virtual time, for anything to come to its end

  explicit NvmeRig(const NvmeRigOptions& rig_options)
      : options(rig_options),
        agenda(options.seed),
        random_(options.seed * 7919),
        disk({agenda, referee, trace}, disk_shape("nvm"), Prng{random_.next()}, options.disk),
        second_disk({agenda, referee, trace}, disk_shape("nvm 2"), Prng{random_.next()}, options.disk),
        device({agenda, referee, trace}, options.shape, namespaces(), Prng{random_.next()}),
        volume(traits(1, options.block_size), referee),
        second_volume(traits(2, std::max(options.second_block_size, 512u)), referee) {}
  ~NvmeRig() {
    if (process) bury();
    agenda.clear();
  }

  /// A new process, up and with its device open.
  void start() {
    start_process();
    if (!referee.finding() && !*process->started()) referee.fail("nvme-quiet", std::string(process->started()->error().what()));
    if (referee.finding()) return;
    process->open();
    run_until([&] { return process->is_open(); });
  }
  /// A new process, up or not: see process->started().
  void start_process() {
    process = std::make_unique<NvmeProcess>(agenda, device, volumes(), options, Prng{random_.next()});
    run_until([&] { return process->started().has_value(); });
  }
  /// Lets every lane do so many commands.
  void begin(uint64_t commands) {
    for (auto& lane : process->lanes()) lane->run(commands);
  }
  void finish() {
    run_until([&] { return std::ranges::all_of(process->lanes(), [](auto& lane) { return lane->is_idle(); }); });
  }
  void work(uint64_t commands) {
    begin(commands);
    finish();
  }
  /// Requires: nothing was found.
  void read_back() {
    for (Volume* each : volumes()) (*std::ranges::find(process->lanes(), each, [](auto& lane) { return &lane->volume(); }))->read_back();
    finish();
  }
  void stop() {
    process->close();
    run_until([&] { return process->is_stopped(); });
    if (referee.finding()) return;
    process->halt();
    process.reset();
  }
  /// The process dies. What was outstanding may have been done, or not.
  void kill() {
    bury();
    disk.process_died();
    second_disk.process_died();
    for (Volume* each : volumes()) each->process_crashed();
  }
  /// Requires: stopped.
  void power_off() {
    WEFT_ASSERT(process == nullptr);
    for (Volume* each : volumes()) each->shut_down();
    lose_power();
  }
  void power_cut() {
    bury();
    lose_power();
  }
  void let_pass(Duration time) { run_until([&, end = agenda.now() + time] { return agenda.now() >= end; }, time + kPatience); }

  /// Steps until then; a finding ends it, and so does patience.
  void run_until(std::predicate auto is_done, Duration patience = kPatience) {
    const Instant end = agenda.now() + patience;
    while (!is_done() && !referee.finding()) {
      if (!agenda.step() || agenda.now() > end) return referee.fail("liveness", "something does not come to its end");
    }
  }
  std::string found() const { return referee.finding() ? referee.finding()->checker + ": " + referee.finding()->what : ""; }

  NvmeRigOptions options;
  Agenda agenda;
  Referee referee;
  Trace trace{Trace::Print::kNo};

 private:
  Prng random_;

 public:
  Disk disk;
  Disk second_disk;  // of namespace 2, where there is one
  NvmeDevice device;
  Volume volume;
  Volume second_volume;
  std::unique_ptr<NvmeProcess> process;

 private:
  void lose_power() {
    disk.power_cut();
    second_disk.power_cut();
    for (Volume* each : volumes()) each->power_cut();
  }
  DiskShape disk_shape(const char* name) const {
    return {.name = name,
            .atomic_bytes = options.atomic_bytes,
            .atomic_boundary_bytes = options.atomic_boundary_bytes,
            .has_volatile_cache = options.has_volatile_cache};
  }
  std::vector<NvmeNamespace> namespaces() {
    std::vector<NvmeNamespace> all{{.disk = &disk, .block_count = disk.shape().size_bytes / options.block_size, .block_size = options.block_size}};
    if (const uint32_t size = options.second_block_size; size != 0) {
      all.push_back({.disk = &second_disk, .block_count = second_disk.shape().size_bytes / size, .block_size = size});
    }
    return all;
  }
  std::vector<Volume*> volumes() {
    if (options.second_block_size == 0) return {&volume};
    return {&volume, &second_volume};
  }
  VolumeTraits traits(uint32_t nsid, uint32_t block_size) const {
    const NvmeShape& shape = options.shape;
    const bool deallocates = shape.has_deallocate || (shape.has_write_zeroes && shape.deallocates_when_zeroing);
    return {.nsid = nsid,
            .block_count = disk.shape().size_bytes / block_size,
            .block_size = block_size,
            .has_volatile_cache = options.has_volatile_cache,
            .deallocated = deallocates ? Deallocated::kZeroed : Deallocated::kKept};
  }
  /// A process that died is never destroyed, as a crash runs no destructor.
  void bury() {
    for (auto& lane : process->lanes()) lane->lost();
    process->halt();
    device.detach();
    static std::vector<NvmeProcess*>& dead = *new std::vector<NvmeProcess*>;  // keeps them reachable
    dead.push_back(process.release());
  }
};

}  // namespace weft::sim::testing_support
