// A queue of the initiator library behind which is a block device of this process: `weft perf --device` measures the device by itself with the workload
// that measures targets. Reads and Writes only. Lives on the reactor of its channel.
#pragma once
#include <memory>
#include <vector>

#include "bdev/bdev.h"
#include "core/reactor.h"
#include "host/queue.h"

namespace weft::app {

class DeviceQueue final : public host::Queue, private Message {
 public:
  /// `entries`: commands that may be outstanding. Outlives: the reactor, and the device that `channel` is of.
  DeviceQueue(Reactor& reactor, std::unique_ptr<bdev::Channel> channel, uint32_t block_bytes, uint16_t entries);
  /// Requires: nothing is outstanding.
  ~DeviceQueue() override;

  bool has_room() const override { return !free_.empty() && !is_closed_; }
  void submit(host::Command& command) override;
  void disable_flow_control() override {}
  /// Takes no more commands; those that the device has end when it is done with them, since it has time limits of its own.
  void close(const Error& reason) override;
  /// Why it was closed, if it was.
  const Error* failure() const { return is_closed_ ? &reason_ : nullptr; }

 private:
  struct Flight {
    DeviceQueue* queue = nullptr;
    bdev::Io io;
    host::Command* command = nullptr;
    nvme::Status status{};
  };
  void ended(Flight& flight);
  void deliver() override;

  Reactor& reactor_;
  std::unique_ptr<bdev::Channel> channel_;
  uint32_t block_bytes_;
  std::vector<Flight> flights_;
  std::vector<Flight*> free_;
  std::vector<Flight*> ended_;  // and not yet told of
  bool is_telling_ = false;     // the message is on its way
  bool is_closed_ = false;
  Error reason_{Errc::kIo, ""};
};

}  // namespace weft::app
