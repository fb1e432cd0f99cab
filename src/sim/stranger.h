// A machine whose process is no host: it opens connections in numbers, and on each says nothing, or nonsense, or the
// beginning of something right, and leaves when it likes.
#pragma once
#include "sim/core.h"
#include "sim/net.h"
#include "sim/setting.h"

#include <list>
#include <memory>

namespace weft::sim {

class Stranger final : private Poller {
 public:
  Stranger(const Setting& setting, size_t machine, uint64_t seed);
  ~Stranger() override;

  /// Opens `count` connections to `address`, each to be left within `stay`.
  void storm(const net::Address& address, size_t count, Duration stay);
  /// Leaves every connection.
  void leave();

 private:
  class Sink final : public LogSink {
   public:
    void write(LogLevel, std::string_view) override {}
  };
  class Call final : private net::StreamEvents {
   public:
    enum class AtEnd : uint8_t { kLeaves, kStays };
    Call(Stream stream, std::vector<std::byte> words, Instant end, AtEnd at_end)
        : stream_(std::move(stream)), words_(std::move(words)), end_(end), at_end_(at_end) {}
    Result<void> start() { return stream_.watch(*this); }
    bool is_over(Instant now) const { return is_over_ || now >= end_; }

   private:
    void on_readable() override;
    void on_writable() override;
    Stream stream_;
    std::vector<std::byte> words_;
    Instant end_;
    AtEnd at_end_;  // what it does when the target says no more
    size_t said_ = 0;
    bool is_over_ = false;
  };

  size_t poll() override;
  std::vector<std::byte> draw_words();

  Setting setting_;
  Prng random_;
  Sink sink_;
  Core core_;
  Net net_;
  std::list<Call> calls_;
  Reactor reactor_;  // dies first: it delivers what was posted to the very end
};

}  // namespace weft::sim
