#include "bench/nvme_session.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/bytes.h"
#include "wire/fabrics/connect.h"
#include "wire/nvme/features.h"
#include "wire/nvme/identify.h"
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

std::vector<std::byte> receive_pdu(const Fd& fd) {
  std::vector<std::byte> pdu(sizeof(tcp::CommonHeader));
  receive_all(fd, pdu);
  const uint32_t plen = view<tcp::CommonHeader>(pdu)->plen;
  if (plen < pdu.size() || plen > kPduBytesMax) unexpected("PLEN " + std::to_string(plen));
  pdu.resize(plen);
  receive_all(fd, std::span(pdu).subspan(sizeof(tcp::CommonHeader)));
  return pdu;
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

NvmeQueue::NvmeQueue(const Options& options) : stream_(connect_to(options.endpoint)) {
  initialize_connection();
  connect(options);
}

void NvmeQueue::initialize_connection() {
  tcp::IcReq request{};
  request.ch = {.type = uint8_t(tcp::PduType::kIcReq), .flags = 0, .hlen = sizeof request, .pdo = 0, .plen = uint32_t{sizeof request}};
  send_all(stream_, bytes_of(request));
  const std::vector<std::byte> pdu = receive_pdu(stream_);
  const auto* response = view<tcp::IcResp>(pdu);
  if (response == nullptr || response->ch.type != uint8_t(tcp::PduType::kIcResp)) unexpected("no ICResp");
  if (uint16_t{response->pfv} != 0 || response->cpda != 0 || response->dgst != 0) unexpected("ICResp with another format, alignment or digests");
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

Answer NvmeQueue::execute(nvme::Sqe sqe, std::span<const std::byte> payload) {
  tcp::CapsuleCmd capsule{};
  capsule.ch = {.type = uint8_t(tcp::PduType::kCapsuleCmd),
                .flags = 0,
                .hlen = sizeof capsule,
                .pdo = payload.empty() ? uint8_t{0} : uint8_t{sizeof capsule},
                .plen = uint32_t(sizeof capsule + payload.size())};
  capsule.sqe = sqe;
  send_all(stream_, bytes_of(capsule));
  send_all(stream_, payload);

  Answer answer;
  while (true) {
    const std::vector<std::byte> pdu = receive_pdu(stream_);
    answer.wire_bytes += pdu.size();
    const auto& header = *view<tcp::CommonHeader>(pdu);
    if (header.type == uint8_t(tcp::PduType::kCapsuleResp) && pdu.size() == sizeof(tcp::CapsuleResp)) {
      answer.cqe = view<tcp::CapsuleResp>(pdu)->cqe;
      const nvme::Status status = answer.cqe.decoded_status();
      if (!status.ok()) unexpected("opcode " + std::to_string(sqe.opcode) + ", status " + std::string(nvme::name_of(status)));
      if (answer.cqe.cid != sqe.cid) unexpected("CID of another command");
      return answer;
    }
    const auto* data = view<tcp::DataPdu>(pdu);
    if (data == nullptr || header.type != uint8_t(tcp::PduType::kC2hData)) unexpected("PDU type " + std::to_string(header.type));
    if (data->cccid != sqe.cid || uint32_t{data->datao} != answer.data.size()) unexpected("C2HData of another command or place");
    if (header.pdo < sizeof *data || size_t{header.pdo} + data->datal != pdu.size()) unexpected("C2HData whose lengths disagree");
    answer.data.insert(answer.data.end(), pdu.begin() + header.pdo, pdu.end());
    if ((header.flags & tcp::kFlagSuccess) != 0) return answer;
  }
}

NvmeSession::NvmeSession(const Options& options) : nsid_(options.nsid) {
  while (queues_.size() < options.connections) add_controller(options);
}

void NvmeSession::add_controller(const Options& options) {
  NvmeQueue::Options queue{.endpoint = options.endpoint, .subsystem_nqn = options.subsystem_nqn};
  NvmeQueue& admin = admins_.emplace_back(queue);
  enable(admin);
  if (block_count_ == 0) identify_namespace(admin);
  const size_t missing = options.connections - queues_.size();
  const size_t count = std::min(missing, request_queues(admin, missing));
  queue.cntlid = admin.cntlid();
  queue.depth = std::max<uint16_t>(options.queue_depth, 2);
  for (queue.qid = 1; queue.qid <= count; ++queue.qid) queues_.emplace_back(queue);
}

void NvmeSession::identify_namespace(NvmeQueue& admin) {
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(nvme::AdminOpcode::kIdentify);
  sqe.flags = kSglFlags;
  sqe.nsid = nsid_;
  sqe.sgl = by_transport(sizeof(nvme::IdentifyNamespace));
  const Answer answer = admin.execute(sqe);
  const auto* identity = view<nvme::IdentifyNamespace>(answer.data);
  if (identity == nullptr || uint64_t{identity->nsze} == 0) unexpected("no such namespace");
  const uint8_t lbads = identity->lbaf[identity->flbas & 0xf].lbads;
  if (lbads < 9 || lbads > 16) unexpected("block size 2^" + std::to_string(lbads));
  block_bytes_ = 1u << lbads;
  block_count_ = identity->nsze;
}

BlockMap NvmeSession::map(const Workload& workload) const {
  if (workload.io_bytes % block_bytes_ != 0) die("the I/O size is no multiple of the namespace's block size");
  const uint64_t block_count = std::min(block_count_, workload.capacity_bytes / block_bytes_);
  if (block_count * block_bytes_ < workload.io_bytes) die("the namespace or the capacity is smaller than one I/O");
  return {.nsid = nsid_, .block_bytes = block_bytes_, .block_count = block_count};
}

size_t NvmeSession::probe(const Workload& workload) {
  const bool writes = workload.direction == Direction::kWrite;
  const std::vector<std::byte> payload(writes ? workload.io_bytes : 0, std::byte{0x5a});
  nvme::Sqe sqe{};
  sqe.opcode = uint8_t(writes ? nvme::IoOpcode::kWrite : nvme::IoOpcode::kRead);
  sqe.flags = kSglFlags;
  sqe.cid = 0xfffe;
  sqe.nsid = nsid_;
  sqe.sgl = writes ? in_capsule(workload.io_bytes) : by_transport(workload.io_bytes);
  sqe.cdw12 = workload.io_bytes / block_bytes_ - 1;
  size_t wire_bytes = 0;
  for (NvmeQueue& queue : queues_) {
    if (::fcntl(queue.stream().get(), F_SETFL, 0) != 0) die("fcntl");
    const Answer answer = queue.execute(sqe, payload);
    if (!writes && answer.data.size() != workload.io_bytes) unexpected("a read of another length");
    if (wire_bytes != 0 && answer.wire_bytes != wire_bytes) unexpected("queues that answer in different lengths");
    wire_bytes = answer.wire_bytes;
  }
  return wire_bytes;
}

}  // namespace weft::bench
