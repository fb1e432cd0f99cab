// One connection of the simulated network: two ends and the bytes between them. Shared by the ends and by what is on
// its way.
#pragma once
#include "net/stream.h"
#include "sim/network.h"

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace weft::sim {

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  enum class State : uint8_t {
    kConnecting,  // the request is on its way, or its answer
    kOpen,
    kEnded,  // this end knows that it is over
  };

  Connection(Network& network, uint64_t number, size_t host, net::Address local, size_t target, net::Address remote);

  uint64_t number() const { return number_; }

  // --- what an end does
  // -------------------------------------------------------------------------------------------------------------------
  net::Transfer receive(Side side, std::span<const iovec> iovecs);
  net::Transfer send(Side side, std::span<const iovec> iovecs);
  void watch(Side side, Net& net, net::StreamEvents& events);
  void shutdown_send(Side side);
  void close(Side side);
  /// Calls the end's owner about what is due. Returns whether anything was.
  bool deliver(Side side);
  const net::Address& address(Side side) const { return end(side).address; }

  // --- what the network does
  // --------------------------------------------------------------------------------------------------------------
  void request();                          // the host asks for the connection
  void forget(Side side, bool is_silent);  // the end's process is gone; silent: and says nothing of it
  void cut_after(Side from, size_t bytes, Ending ending) {
    end(from).cut = Cut{bytes, ending};
  }  // once so many more have arrived
  void cut_now(Ending ending);  // the host is not heard any more
  void resume(Side from);  // what was held goes on
  size_t machine(Side side) const { return end(side).machine; }
  bool is_open(Side side) const { return end(side).is_owned; }
  bool is_established() const {
    return end(Side::kHost).state == State::kOpen && end(Side::kTarget).state == State::kOpen;
  }
  bool is_over() const { return !end(Side::kHost).is_owned && !end(Side::kTarget).is_owned; }

 private:
  enum class Kind : uint8_t { kRequest, kAccept, kRefusal, kBytes, kFinish, kReset };
  struct Parcel {
    Kind kind;
    std::vector<std::byte> bytes;
  };
  struct Cut {
    size_t bytes;  // that still pass
    Ending ending;
  };
  struct End {
    size_t machine;
    net::Address address;
    State state = State::kConnecting;
    int error_number = 0;       // kEnded: what the owner is told
    bool is_owned = false;      // its process has it
    bool has_finished = false;  // it sends no more
    bool is_tap_closed = false;
    Net* net = nullptr;  // watched
    net::StreamEvents* events = nullptr;
    bool wants_read_event = true;
    bool wants_write_event = true;
    // From this end to the other: on the way, and arrived there.
    size_t in_flight = 0;
    Instant last_arrival{};
    std::deque<Parcel> held;    // by a link that lets nothing through, or little at a time
    bool is_trickling = false;  // trickle() comes
    std::optional<Cut> cut;
    // At this end: arrived, not yet received.
    std::vector<std::byte> inbox;
    size_t inbox_taken = 0;
    size_t arrived = 0;  // in all
    bool has_end_arrived = false;
  };

  End& end(Side side) { return ends_[size_t(side)]; }
  const End& end(Side side) const { return ends_[size_t(side)]; }
  size_t waiting(Side side) const { return end(side).inbox.size() - end(side).inbox_taken; }
  size_t room(Side from) const;
  void dispatch(Side from, Parcel parcel);
  void schedule(Side from, Parcel parcel);
  void trickle(Side from);
  std::optional<Duration> slowness(Side from) const;
  void arrive(Side at, Parcel parcel);
  void take_in(Side at, std::vector<std::byte> bytes);
  void finish_cut(Side from, Ending ending, std::vector<std::byte> last);
  void establish();
  void fail(Side at, int error_number);
  void tap_closed(Side side);
  void make_due(Side side);

  Network& network_;
  uint64_t number_;
  std::array<End, 2> ends_;
  std::unique_ptr<WireTap> tap_;  // from establish() on
};

}  // namespace weft::sim
