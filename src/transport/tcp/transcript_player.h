// Replays a transcript against a whole target in memory: the host's bytes go through net::MemoryNet, the production
// pump and acceptor. What the host says in a row is delivered when the transcript next looks at something else, cut
// into segments that ignore the PDUs. Tests only.
#pragma once
#include "transport/tcp/test_server.h"
#include "transport/tcp/transcript_pdu.h"

#include <functional>
#include <map>
#include <string>

namespace weft::tcp::testing {

class TranscriptPlayer {
 public:
  /// `next_segment` says how many bytes arrive at once.
  TranscriptPlayer(const Limits& limits, std::function<size_t()> next_segment)
      : next_segment_(std::move(next_segment)), server_(limits) {}

  /// To be called once. An error names the step's place.
  OrMessage<void> play(const Transcript& transcript) {
    for (const Step& step : transcript.steps) {
      if (auto played = play(step); !played) return std::unexpected(step.place + ": " + played.error());
    }
    deliver();
    for (auto& [name, queue] : queues_) {
      receive(queue);
      if (!queue.received.empty())
        return std::unexpected("the transcript ends, but on " + name + " there is " + pdu_to_text(queue.received));
    }
    return {};
  }

 private:
  struct Queue {
    net::MemoryStream stream;
    Digests digests{};
    Bytes unsent{};
    Bytes received{};
    bool is_ended = false;  // the target has closed its side
  };

  OrMessage<void> play(const Step& step) {
    if (step.kind == Step::Kind::kSend) return send(step);
    deliver();
    if (step.kind == Step::Kind::kWait) {
      server_.target.advance(step.time);
      return {};
    }
    const auto found = queues_.find(step.queue);
    if (found == queues_.end()) return std::unexpected("nothing was said yet on " + step.queue);
    Queue& queue = found->second;
    switch (step.kind) {
      case Step::Kind::kExpect:
        return expect(step, queue);
      case Step::Kind::kExpectNothing:
        return expect_silence(queue, IsEnded::kNo);
      case Step::Kind::kExpectClose:
        return expect_silence(queue, IsEnded::kYes);
      case Step::Kind::kClose:
        queues_.erase(found);
        server_.target.run();
        return {};
      case Step::Kind::kSend:
      case Step::Kind::kWait:
        break;
    }
    return {};
  }

  OrMessage<void> send(const Step& step) {
    Queue& queue = queues_.try_emplace(step.queue, Queue{server_.connect()}).first->second;
    if (&queue != speaker_) deliver();
    auto bytes = bytes_of_step(step, queue.digests, variables_);
    if (!bytes) return std::unexpected(bytes.error());
    queue.unsent.insert(queue.unsent.end(), bytes->begin(), bytes->end());
    speaker_ = &queue;
    return {};
  }

  void deliver() {
    if (speaker_ == nullptr) return;
    Queue& queue = *std::exchange(speaker_, nullptr);
    const Bytes bytes = std::exchange(queue.unsent, {});
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = std::min(next_segment_(), bytes.size() - at);
      const iovec piece{const_cast<std::byte*>(bytes.data() + at), size};
      queue.stream.send({&piece, 1});  // after a termination it may fail: the target reads no more
      server_.target.run();
      at += size;
    }
  }

  static void receive(Queue& queue) {
    std::byte buffer[4096];
    const iovec piece{buffer, sizeof buffer};
    for (auto got = queue.stream.receive({&piece, 1}); got.kind != net::Transfer::Kind::kWouldBlock;
         got = queue.stream.receive({&piece, 1})) {
      if (got.kind != net::Transfer::Kind::kBytes) {
        queue.is_ended = true;
        return;
      }
      queue.received.insert(queue.received.end(), buffer, buffer + got.bytes);
    }
  }

  OrMessage<void> expect(const Step& step, Queue& queue) {
    receive(queue);
    const auto* common = view<CommonHeader>(queue.received);
    if (common == nullptr || uint32_t{common->plen} > queue.received.size()) {
      return std::unexpected(fmt::format("expected {}, but {}", name_of(step.type),
                                         queue.is_ended ? "the target has closed" : "nothing has come"));
    }
    const Bytes bytes(queue.received.begin(), queue.received.begin() + ptrdiff_t(uint32_t{common->plen}));
    queue.received.erase(queue.received.begin(), queue.received.begin() + ptrdiff_t(bytes.size()));
    const auto got = parse_pdu(bytes, queue.digests);
    if (!got) return std::unexpected(got.error() + ": " + pdu_to_text(bytes));
    if (PduType(got->header[0]) != step.type) {
      return std::unexpected(fmt::format("\n  expected: {}\n  got:      {}", name_of(step.type), pdu_to_text(bytes)));
    }
    ParsedPdu wanted = *got;
    for (const Assignment& assignment : step.fields) {
      if (auto assigned = assign(wanted, assignment, {variables_, Unbound::kTakesWhatIsThere}); !assigned)
        return std::unexpected(assigned.error());
    }
    if (wanted != *got) return std::unexpected(difference(wanted, *got));
    if (step.type == PduType::kIcResp) {
      const uint8_t dgst = view<IcResp>(got->header)->dgst;
      queue.digests = {(dgst & kDigestHeader) != 0, (dgst & kDigestData) != 0};
    }
    return {};
  }

  enum class IsEnded : uint8_t { kNo, kYes };
  static OrMessage<void> expect_silence(Queue& queue, IsEnded expected) {
    receive(queue);
    if (!queue.received.empty())
      return std::unexpected("expected nothing more, but there is " + pdu_to_text(queue.received));
    if (queue.is_ended == (expected == IsEnded::kYes)) return {};
    return std::unexpected(queue.is_ended ? "the target has closed" : "the target has not closed");
  }

  std::function<size_t()> next_segment_;
  TestServer server_;
  std::map<std::string, Queue> queues_;  // their streams close before the server ends
  Queue* speaker_ = nullptr;             // has unsent bytes
  Variables variables_;
};

}  // namespace weft::tcp::testing
