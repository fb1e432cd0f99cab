// The raw ceiling's side of a connection whose requests differ: it looks at the type and the opcode of each, because otherwise nobody knew what to
// answer, and at its CID and length, because the client counts on them; at nothing else. Reads are answered by C2HData with SUCCESS, writes that are
// in their capsule by a response capsule, others first by one R2T for all of their data.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "bench/pdu_walker.h"
#include "bench/raw_medium.h"
#include "bench/send_ring.h"

namespace weft::bench {

class RawRequests {
 public:
  /// Outlives: `medium` outlives this.
  explicit RawRequests(RawMedium& medium);

  /// Takes what was received; returns how many requests were answered, R2Ts not among them. Ends the program on what is no request.
  uint64_t receive(std::span<const std::byte> bytes);
  /// The answers that are to be sent.
  SendRing& answers() { return answers_; }
  bool has_answers() const { return answers_.has_pending(); }

  // By PduWalker.
  void on_header(std::span<const std::byte> header);
  void on_payload(std::span<const std::byte> payload);
  void on_end();

 private:
  void on_command(const tcp::CapsuleCmd& capsule);
  void answer_read(uint16_t cid, uint32_t length);
  void answer_write(uint16_t cid);
  void request_transfer(uint16_t cid, uint32_t length);

  RawMedium& medium_;
  PduWalker walker_;
  SendRing answers_;
  std::span<std::byte> store_;  // where payload goes that arrives now
  uint16_t cid_ = 0;            // of the write whose payload arrives now
  bool ends_write_ = false;     // the PDU that arrives now
  uint64_t answered_ = 0;
};

}  // namespace weft::bench
