// A simulated NVMe controller on PCI Express: registers, queues in its host's memory, and namespaces on simulated disks. It outlives the processes
// that use it, each through an NvmeFunction. All its work happens on the agenda: entries are fetched some time after their doorbell, completions come
// late and in any order, and what the disks do to be late, fail, hang or lose their cache (sim/disk.h) shows as a controller would show it. It is
// strict: what a driver may not do is a finding, of the checker
//   "nvme-queue"  an entry that was not published, a command ID that is in use, a doorbell beyond its queue or of none
//   "nvme-dma"    an address that is not mapped
//   "nvme-prp"    a data pointer that the specification does not allow
//   "buffer-ownership"  memory of a command that changes while the controller has it
// NVMe Base 2.0 §3, §5; NVMe over PCIe Transport 1.0. Belongs to the world; events must not outlive it.
#pragma once
#include "media/media.h"
#include "sim/disk.h"
#include "sim/nvme_options.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/log_pages.h"
#include "wire/nvme/queue_commands.h"
#include "wire/nvme/pcie_registers.h"

#include <concepts>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace weft::sim {

class NvmeFunction;

class NvmeDevice final {
 public:
  static constexpr size_t kRegisterBytes = 0x4000;
  static constexpr uint8_t kErrorEntriesMax = 4;

  /// Outlives: the disks of `namespaces` outlive the device. Namespace n of the list has NSID n + 1.
  NvmeDevice(const Disk::World& world, const NvmeShape& shape, std::vector<NvmeNamespace> namespaces, Prng random);
  ~NvmeDevice();
  NvmeDevice(const NvmeDevice&) = delete;
  NvmeDevice& operator=(const NvmeDevice&) = delete;

  const NvmeShape& shape() const { return shape_; }
  const NvmeCounts& counts() const { return counts_; }
  const NvmeFaults& faults() const { return faults_; }
  void set_faults(const NvmeFaults& faults) { faults_ = faults; }
  const NvmeNamespace& namespace_of(uint32_t nsid) const { return namespaces_.at(nsid - 1); }
  /// The namespace is another one from now on; the host is told if it wants to know.
  void change(uint32_t nsid, const NvmeNamespace& ns);
  /// That the host has created.
  size_t io_queues() const { return submission_.size() - submission_.count(0); }
  /// The disks were pulled: nothing answers, and nothing is written any more.
  bool is_gone() const;
  bool is_ready() const { return (csts_ & nvme::Csts::kRdy) != 0; }

  // --- for NvmeFunction --------------------------------------------------------------------------------------------------
  void attach(NvmeFunction& function);
  void detach();
  uint32_t read32(uint32_t offset) const;
  void write32(uint32_t offset, uint32_t value);
  /// Everything is forgotten, and the host's memory is not reached any more.
  void isolate();

 private:
  struct CompletionQueue {
    uint64_t iova = 0;
    uint32_t entries = 0;
    uint32_t tail = 0;
    uint32_t head = 0;  // what the host has told
    bool phase = true;
    std::optional<uint16_t> vector;
    std::deque<nvme::Cqe> waiting;  // for room
  };
  struct SubmissionQueue {
    uint64_t iova = 0;
    uint32_t entries = 0;
    uint16_t cqid = 0;
    uint32_t head = 0;
    uint32_t tail = 0;  // what the host has told
  };
  /// What a disk has to do for a command.
  struct Step {
    media::Kind kind;
    uint64_t offset = 0;  // bytes
    uint32_t length = 0;
  };
  struct Command {
    uint64_t serial = 0;
    uint16_t sqid = 0;
    nvme::Sqe sqe;
    std::vector<std::span<std::byte>> host;  // where its data is
    std::vector<std::byte> storage;
    std::span<std::byte> data;               // of the medium's operations, aligned
    std::vector<std::byte> compared;         // of a Compare: what the host has
    std::vector<Step> steps;                 // what is left, the last one first
    media::Operation operation;              // of the step that the disk has
    size_t namespace_index = 0;
    Writer number = 0;                       // of the step that the disk has; 0: none
    bool is_ending = false;                  // its completion is under way
    bool is_silent = false;                  // it will not be answered
  };
  using Key = std::pair<uint16_t, uint16_t>;  // SQID, CID
  struct Owner final : media::OperationOwner {
    void operation_done(media::Operation&, int32_t) override {}
  };
  /// Hears of one disk.
  class Port final : public DiskClient {
   public:
    Port(NvmeDevice& device, size_t namespace_index) : device_(device), namespace_index_(namespace_index) {}
    void on_ready(Writer number) override { device_.on_ready(namespace_index_, number); }

   private:
    NvmeDevice& device_;
    size_t namespace_index_;
  };
  /// The status that a command is refused with.
  using Refused = std::optional<nvme::Status>;

  // nvme_device.cc: registers, queues.
  void on_cc(uint32_t value);
  void start_enabling();
  void start_shutdown();
  void forget_everything();
  void ring(uint32_t offset, uint32_t value);
  void fetch_later(uint16_t sqid);
  void fetch(uint16_t sqid);
  void look_at_shadows(uint16_t sqid);
  void take(uint16_t sqid);
  void begin(uint16_t sqid, const nvme::Sqe& sqe);
  void answer_admin(uint16_t cid, nvme::Status status, uint32_t dw0 = 0);
  void complete_later(Command& command, nvme::Status status);
  void complete(Key key, uint64_t serial, nvme::Status status);
  void post(uint16_t cqid, nvme::Cqe cqe);
  void drain(uint16_t cqid);
  void forget(Command& command);
  void fail(std::string_view checker, std::string what);
  /// Unless everything is forgotten before.
  template <std::invocable F>
  void after(Duration delay, F f) {
    world_.agenda.after(delay, [this, epoch = epoch_, f = std::move(f)]() mutable {
      if (epoch == epoch_ && !is_gone() && (csts_ & nvme::Csts::kCfs) == 0) f();
    });
  }
  Duration draw(int64_t microseconds);
  bool happens(uint64_t one_in);
  std::span<const std::byte> seen(uint64_t iova, size_t size);

  // nvme_admin.cc.
  void execute_admin(const nvme::Sqe& sqe);
  void identify(const nvme::Sqe& sqe);
  std::vector<std::byte> identify_page(const nvme::Sqe& sqe) const;
  nvme::IdentifyController controller_page() const;
  nvme::IdentifyNamespace namespace_page(const NvmeNamespace& ns) const;
  nvme::Status create_cq(const nvme::Sqe& sqe);
  nvme::Status create_sq(const nvme::Sqe& sqe);
  nvme::Status delete_sq(uint16_t qid);
  nvme::Status delete_cq(uint16_t qid);
  bool abort(const nvme::AbortTarget& target);
  std::vector<std::byte> log_page(const nvme::GetLogPage& request);
  void note_error(const Command& command, nvme::Status status);
  void write_page(const nvme::Sqe& sqe, std::span<const std::byte> bytes);
  void raise_event();
  bool is_attached(uint32_t nsid) const { return nsid >= 1 && nsid <= namespaces_.size() && namespaces_[nsid - 1].is_attached; }

  // nvme_io.cc.
  void execute_io(Command& command);
  Refused prepare(Command& command);
  Refused prepare_range(Command& command, const NvmeNamespace& ns, uint64_t block, uint64_t count, media::Kind kind);
  Refused prepare_deallocate(Command& command, const NvmeNamespace& ns);
  Refused prepare_copy(Command& command, const NvmeNamespace& ns);
  std::span<const std::byte> seen_ranges(const Command& command, size_t size);
  void make_room(Command& command, uint64_t bytes);
  bool find_data(Command& command, uint64_t bytes);
  void add_piece(Command& command, uint64_t iova, uint64_t bytes);
  bool add_prps(Command& command, uint64_t bytes);
  void take_host_data(Command& command);
  void poison_host(Command& command);
  void start_step(Command& command);
  void on_ready(size_t namespace_index, Writer number);
  void step_done(Command& command, int32_t result);
  void check_host(const Command& command, std::string_view when);
  static std::span<const std::byte> fetched(const Command& command);
  void land(const Command& command);
  Command* find(size_t namespace_index, Writer number);

  Disk::World world_;
  NvmeShape shape_;
  std::vector<NvmeNamespace> namespaces_;
  Prng random_;
  NvmeFaults faults_;
  NvmeCounts counts_;
  Owner owner_;
  std::vector<std::unique_ptr<Port>> ports_;  // by namespace
  NvmeFunction* function_ = nullptr;
  std::vector<uint64_t> removals_;  // of each namespace's disk, when the function was attached
  uint64_t serial_ = 0;             // of the newest command
  uint64_t epoch_ = 0;              // what was put on the agenda before the last reset means nothing

  uint32_t cc_ = 0;
  uint32_t csts_ = 0;
  uint32_t aqa_ = 0;
  uint64_t asq_ = 0;
  uint64_t acq_ = 0;
  std::map<uint16_t, SubmissionQueue> submission_;
  std::map<uint16_t, CompletionQueue> completion_;
  std::map<Key, std::unique_ptr<Command>> commands_;  // fetched and not completed
  std::vector<uint16_t> event_cids_;                  // Asynchronous Event Requests
  std::vector<uint32_t> changed_;                     // namespaces, for the log
  std::deque<nvme::ErrorLogEntry> errors_;            // the oldest first
  uint64_t error_count_ = 0;
  bool wants_namespace_events_ = false;
  bool is_event_masked_ = false;  // until the log is read
  uint64_t shadow_values_ = 0;    // IOVA; 0: none
  uint64_t shadow_events_ = 0;
};

}  // namespace weft::sim
