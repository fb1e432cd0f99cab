#include "bench/nvme_session.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "bench/h2c_data.h"
#include "wire/fabrics/connect.h"
#include "wire/nvme/features.h"
#include "wire/nvme/identify.h"
#include "wire/nvme/identify_controller.h"
#include "wire/nvme/registers.h"
#include "wire/tcp/pdu.h"

namespace weft::bench {
namespace {

constexpr uint8_t kSglFlags = uint8_t(nvme::Psdt::kSglContiguousMetadata) << 6;
constexpr char kHostNqn[] = "nqn.2014-08.org.nvmexpress:uuid:77656674-0000-4000-8000-62656e636800";
constexpr size_t kPduBytesMax = 2 << 20;  // of what a target sends; ours are at most MDTS

[[noreturn]] void unexpected(const std::string& what) {
  errno = 0;
  die("the target's answer is not what was expected: " + what);
}

void send_all(const Fd& fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) die("send");
    bytes = bytes.subspan(size_t(count));
  }
}

void receive_all(const Fd& fd, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::recv(fd.get(), bytes.data(), bytes.size(), MSG_WAITALL);
    if (count == 0) unexpected("it closed the connection");
    if (count < 0) die("receive");
    bytes = bytes.subspan(size_t(count));
  }
}

le32 digest_at(std::span<const std::byte> bytes, size_t offset) {
  le32 digest;
  std::memcpy(digest.raw, bytes.data() + offset, sizeof digest);
  return digest;
}

void send_digest(const Fd& fd, std::span<const std::byte> bytes) {
  const le32 digest = crc32c(bytes);
  send_all(fd, bytes_of(digest));
}

nvme::Sqe fabrics_sqe(fabrics::Fctype type) {
  nvme::Sqe sqe{};
  sqe.opcode = nvme::kFabricsOpcode;
  sqe.flags = kSglFlags;
  sqe.nsid = uint32_t(type);
  return sqe;
}

nvme::SglDescriptor in_capsule(size_t bytes) {
  nvme::SglDescriptor sgl{};
  sgl.length = uint32_t(bytes);
  sgl.type = nvme::SglDescriptor::kDataBlockOffset;
  return sgl;
}

nvme::SglDescriptor by_transport(size_t bytes) {
  nvme::SglDescriptor sgl{};
  sgl.length = uint32_t(bytes);
  sgl.type = nvme::SglDescriptor::kTransportDataBlock;
  return sgl;
}

void set_property(NvmeQueue& admin, uint32_t offset, uint32_t value) {
  auto sqe = std::bit_cast<fabrics::PropertySqe>(fabrics_sqe(fabrics::Fctype::kPropertySet));
  sqe.ofst = offset;
  sqe.value = value;
  admin.execute(std::bit_cast<nvme::Sqe>(sqe));
}

uint32_t get_property(NvmeQueue& admin, uint32_t offset) {
  auto sqe = std::bit_cast<fabrics::PropertySqe>(fabrics_sqe(fabrics::Fctype::kPropertyGet));
  sqe.ofst = offset;
  return admin.execute(std::bit_cast<nvme::Sqe>(sqe)).cqe.dw0;
}

void enable(NvmeQueue& admin) {
  constexpr uint32_t kEnable = 4u << 20 | 6u << 16 | 1;  // IOCQES 16 bytes, IOSQES 64 bytes, EN
  set_property(admin, nvme::property::kCc, kEnable);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while ((get_property(admin, nvme::property::kCsts) & nvme::Csts::kRdy) == 0) {
    if (std::chrono::steady_clock::now() > deadline) unexpected("the controller did not become ready in 10 s");
  }
}

/// Asks for I/O queues and returns how many may be connected.
size_t request_queues(NvmeQueue& admin, size_t wanted) {
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(nvme::AdminOpcode::kSetFeatures);
  sqe.flags = kSglFlags;
  sqe.cdw10 = uint32_t(nvme::Feature::kNumberOfQueues);
  const auto count = uint32_t(std::min<size_t>(wanted, 0xffff));
  sqe.cdw11 = nvme::NumberOfQueues{count, count}.to_wire();
  const auto granted = nvme::NumberOfQueues::from_wire(admin.execute(sqe).cqe.dw0);
  return std::min(granted.submission, granted.completion);
}

}  // namespace

NvmeQueue::NvmeQueue(const Options& options) : stream_(connect_to(options.endpoint)), digests_(options.digests) {
  initialize_connection();
  connect(options);
}

void NvmeQueue::initialize_connection() {
  tcp::IcReq request{};
  request.ch = {.type = uint8_t(tcp::PduType::kIcReq), .flags = 0, .hlen = sizeof request, .pdo = 0, .plen = uint32_t{sizeof request}};
  request.dgst = uint8_t((digests_.header ? tcp::kDigestHeader : 0) | (digests_.data ? tcp::kDigestData : 0));
  send_all(stream_, bytes_of(request));
  const std::vector<std::byte> pdu = receive_pdu();
  const auto* response = view<tcp::IcResp>(pdu);
  if (response == nullptr || response->ch.type != uint8_t(tcp::PduType::kIcResp)) unexpected("no ICResp");
  if (uint16_t{response->pfv} != 0 || response->cpda != 0) unexpected("ICResp with another format or alignment");
  if (response->dgst != request.dgst) unexpected("ICResp with other digests");
  maxh2cdata_ = response->maxh2cdata;
  if (maxh2cdata_ < 4096) unexpected("MAXH2CDATA " + std::to_string(maxh2cdata_));
}

void NvmeQueue::connect(const Options& options) {
  fabrics::ConnectData data{};
  std::memcpy(data.hostid.data(), "weft bench host", data.hostid.size());
  data.cntlid = options.cntlid;
  if (options.subsystem_nqn.size() > fabrics::kNqnLengthMax) die("the subsystem NQN is too long");
  std::ranges::copy(options.subsystem_nqn, data.subnqn.begin());
  std::ranges::copy(kHostNqn, data.hostnqn.begin());

  auto sqe = std::bit_cast<fabrics::ConnectSqe>(fabrics_sqe(fabrics::Fctype::kConnect));
  sqe.sgl = in_capsule(sizeof data);
  sqe.qid = options.qid;
  sqe.sqsize = uint16_t(options.depth - 1);
  // Without it every read would be answered with a response capsule of its own.
  sqe.cattr = fabrics::kCattrDisableSqFlowControl;
  cntlid_ = uint16_t(uint32_t{execute(std::bit_cast<nvme::Sqe>(sqe), bytes_of(data)).cqe.dw0});
}

/// One whole PDU; digests have been checked, and are left where they are.
std::vector<std::byte> NvmeQueue::receive_pdu() {
  std::vector<std::byte> pdu(sizeof(tcp::CommonHeader));
  receive_all(stream_, pdu);
  const uint32_t plen = view<tcp::CommonHeader>(pdu)->plen;
  if (plen < pdu.size() || plen > kPduBytesMax) unexpected("PLEN " + std::to_string(plen));
  pdu.resize(plen);
  receive_all(stream_, std::span(pdu).subspan(sizeof(tcp::CommonHeader)));
  const auto& header = *view<tcp::CommonHeader>(pdu);
  const bool is_initialization = header.type == uint8_t(tcp::PduType::kIcResp);
  if (digests_.header && !is_initialization) {
    if ((header.flags & tcp::kFlagHdgst) == 0 || header.hlen + tcp::kDigestSize > pdu.size()) unexpected("no header digest");
    if (digest_at(pdu, header.hlen) != crc32c(std::span(pdu).first(header.hlen))) unexpected("a wrong header digest");
  }
  if (digests_.data && !is_initialization && header.pdo != 0) {
    if ((header.flags & tcp::kFlagDdgst) == 0 || header.pdo + tcp::kDigestSize > pdu.size()) unexpected("no data digest");
    const size_t end = pdu.size() - tcp::kDigestSize;
    if (digest_at(pdu, end) != crc32c(std::span(pdu).subspan(header.pdo, end - header.pdo))) unexpected("a wrong data digest");
  }
  return pdu;
}

void NvmeQueue::send_capsule(const nvme::Sqe& sqe, std::span<const std::byte> payload) {
  const size_t head = sizeof(tcp::CapsuleCmd) + digests_.header_bytes();
  const bool has_data_digest = digests_.data && !payload.empty();
  tcp::CapsuleCmd capsule{};
  capsule.ch = {.type = uint8_t(tcp::PduType::kCapsuleCmd),
                .flags = uint8_t((digests_.header ? tcp::kFlagHdgst : 0) | (has_data_digest ? tcp::kFlagDdgst : 0)),
                .hlen = sizeof capsule,
                .pdo = payload.empty() ? uint8_t{0} : uint8_t(head),
                .plen = uint32_t(head + payload.size() + (has_data_digest ? tcp::kDigestSize : 0))};
  capsule.sqe = sqe;
  send_all(stream_, bytes_of(capsule));
  if (digests_.header) send_digest(stream_, bytes_of(capsule));
  send_all(stream_, payload);
  if (has_data_digest) send_digest(stream_, payload);
}

Answer NvmeQueue::execute(nvme::Sqe sqe, std::span<const std::byte> payload) {
  const bool is_in_capsule = sqe.sgl.type == nvme::SglDescriptor::kDataBlockOffset;
  send_capsule(sqe, is_in_capsule ? payload : std::span<const std::byte>{});
  Answer answer;
  while (true) {
    const std::vector<std::byte> pdu = receive_pdu();
    answer.wire_bytes += pdu.size();
    const auto& header = *view<tcp::CommonHeader>(pdu);
    if (header.type == uint8_t(tcp::PduType::kCapsuleResp) && header.hlen == sizeof(tcp::CapsuleResp)) {
      answer.cqe = view<tcp::CapsuleResp>(pdu)->cqe;
      const nvme::Status status = answer.cqe.decoded_status();
      if (!status.ok()) unexpected("opcode " + std::to_string(sqe.opcode) + ", status " + std::string(nvme::name_of(status)));
      if (answer.cqe.cid != sqe.cid) unexpected("CID of another command");
      return answer;
    }
    if (header.type == uint8_t(tcp::PduType::kR2t) && pdu.size() >= sizeof(tcp::R2t)) {
      const auto& r2t = *view<tcp::R2t>(pdu);
      if (r2t.cccid != sqe.cid || uint64_t{r2t.r2to} + r2t.r2tl > payload.size()) unexpected("R2T of another command or place");
      if (digests_.header || digests_.data) unexpected("an R2T; transfers with digests are not there");
      for_each_h2c_data(r2t, maxh2cdata_, [&](const tcp::DataPdu& transfer) {
        send_all(stream_, bytes_of(transfer));
        send_all(stream_, payload.subspan(transfer.datao, transfer.datal));
      });
      continue;
    }
    const auto* data = view<tcp::DataPdu>(pdu);
    if (data == nullptr || header.type != uint8_t(tcp::PduType::kC2hData)) unexpected("PDU type " + std::to_string(header.type));
    if (data->cccid != sqe.cid || uint32_t{data->datao} != answer.data.size()) unexpected("C2HData of another command or place");
    const size_t end = pdu.size() - digests_.data_bytes();
    if (header.pdo < sizeof *data + digests_.header_bytes() || size_t{header.pdo} + data->datal != end) unexpected("C2HData whose lengths disagree");
    answer.data.insert(answer.data.end(), pdu.begin() + header.pdo, pdu.begin() + std::ptrdiff_t(end));
    if ((header.flags & tcp::kFlagSuccess) != 0) return answer;
  }
}

NvmeSession::NvmeSession(const Options& options) : nsids_(options.nsids) {
  while (queues_.size() < options.connections) add_controller(options);
}

void NvmeSession::add_controller(const Options& options) {
  NvmeQueue::Options queue{.endpoint = options.endpoint, .subsystem_nqn = options.subsystem_nqn, .digests = options.digests};
  NvmeQueue& admin = admins_.emplace_back(queue);
  enable(admin);
  if (admins_.size() == 1) {
    identify_controller(admin);
    identify_namespaces(admin);
  }
  const size_t missing = options.connections - queues_.size();
  const size_t count = std::min(missing, request_queues(admin, missing));
  queue.cntlid = admin.cntlid();
  queue.depth = std::max<uint16_t>(options.queue_depth, 2);
  for (queue.qid = 1; queue.qid <= count; ++queue.qid) {
    const auto start = std::chrono::steady_clock::now();
    queues_.emplace_back(queue);
    set_up_times_.push_back(std::chrono::steady_clock::now() - start);
  }
}

void NvmeSession::identify_controller(NvmeQueue& admin) {
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(nvme::AdminOpcode::kIdentify);
  sqe.flags = kSglFlags;
  sqe.sgl = by_transport(sizeof(nvme::IdentifyController));
  sqe.cdw10 = uint32_t(nvme::Cns::kController);
  const Answer answer = admin.execute(sqe);
  const auto* identity = view<nvme::IdentifyController>(answer.data);
  constexpr uint32_t kUnit = 16;  // bytes of IOCCSZ, which counts the command too
  if (identity == nullptr || identity->ioccsz * kUnit < sizeof(nvme::Sqe)) unexpected("Identify Controller without IOCCSZ");
  in_capsule_bytes_ = identity->ioccsz * kUnit - uint32_t(sizeof(nvme::Sqe));
}

void NvmeSession::identify_namespaces(NvmeQueue& admin) {
  for (const uint32_t nsid : nsids_) {
    nvme::Sqe sqe{};
    sqe.opcode = uint8_t(nvme::AdminOpcode::kIdentify);
    sqe.flags = kSglFlags;
    sqe.nsid = nsid;
    sqe.sgl = by_transport(sizeof(nvme::IdentifyNamespace));
    const Answer answer = admin.execute(sqe);
    const auto* identity = view<nvme::IdentifyNamespace>(answer.data);
    if (identity == nullptr || uint64_t{identity->nsze} == 0) unexpected("no namespace " + std::to_string(nsid));
    const uint8_t lbads = identity->lbaf[identity->flbas & 0xf].lbads;
    if (lbads < 9 || lbads > 16) unexpected("block size 2^" + std::to_string(lbads));
    if (block_bytes_ != 0 && block_bytes_ != 1u << lbads) unexpected("namespaces of different block sizes");
    block_bytes_ = 1u << lbads;
    block_count_ = block_count_ == 0 ? uint64_t{identity->nsze} : std::min(block_count_, uint64_t{identity->nsze});
  }
}

BlockMap NvmeSession::map(const Workload& workload) const {
  if (workload.io_bytes % block_bytes_ != 0) die("the I/O size is no multiple of the namespace's block size");
  const uint64_t block_count = std::min(block_count_, workload.capacity_bytes / block_bytes_);
  if (block_count * block_bytes_ < workload.io_bytes) die("the namespace or the capacity is smaller than one I/O");
  return {.nsids = nsids_, .block_bytes = block_bytes_, .block_count = block_count};
}

size_t NvmeSession::probe(const Workload& workload) {
  size_t wire_bytes = 0;
  if (workload.has_writes()) wire_bytes = probe(workload, Direction::kWrite);
  if (workload.has_reads()) wire_bytes = probe(workload, Direction::kRead);
  return wire_bytes;
}

size_t NvmeSession::probe(const Workload& workload, Direction direction) {
  const bool writes = direction == Direction::kWrite;
  const std::vector<std::byte> payload(writes ? workload.io_bytes : 0, std::byte{0x5a});
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(writes ? nvme::IoOpcode::kWrite : nvme::IoOpcode::kRead);
  sqe.flags = kSglFlags;
  sqe.cid = 0xfffe;
  sqe.sgl = writes && !workload.writes_by_r2t() ? in_capsule(workload.io_bytes) : by_transport(workload.io_bytes);
  sqe.cdw12 = workload.io_bytes / block_bytes_ - 1;
  size_t wire_bytes = 0;
  for (size_t i = 0; i < queues_.size(); ++i) {
    NvmeQueue& queue = queues_[i];
    sqe.nsid = nsids_[i % nsids_.size()];
    if (::fcntl(queue.stream().get(), F_SETFL, 0) != 0) die("fcntl");
    const Answer answer = queue.execute(sqe, payload);
    if (!writes && answer.data.size() != workload.io_bytes) unexpected("a read of another length");
    if (wire_bytes != 0 && answer.wire_bytes != wire_bytes) unexpected("queues that answer in different lengths");
    wire_bytes = answer.wire_bytes;
  }
  return wire_bytes;
}

}  // namespace weft::bench
