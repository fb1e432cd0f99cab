// The discovery log (LID 70h) as one host sees it: an entry for each subsystem it may use on each listener it can reach, and one for the
// discovery service on each of those listeners. Built when the host reads from offset 0 and kept in its discovery controller, so that the
// parts of one page belong together. NVM Express Base 2.0 §5.16.1.23.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/fabrics/discovery.h"

namespace weft::nvmf {

struct ListenerRecord;
struct Origin;
struct SubsystemView;

struct DiscoverySource {
  std::span<const std::unique_ptr<SubsystemView>> subsystems;
  std::span<const ListenerRecord> listeners;
  uint64_t generation = 0;
  uint32_t admin_queue_entries = 0;
};

class DiscoveryLog {
 public:
  /// What `host_nqn`, whose connection came by `origin`, may see. Keeps no reference to its arguments.
  static DiscoveryLog build(const DiscoverySource& source, std::string_view host_nqn, const Origin& origin);

  /// Bytes of the log without a filter: reads may start anywhere in it, whatever they filter.
  size_t size() const { return sizeof(fabrics::DiscoveryLogHeader) + entries_.size() * sizeof(fabrics::DiscoveryLogEntry); }
  uint64_t generation() const { return generation_; }
  /// The page as LSP asks for it (only kLspPortLocal is honoured), shorter than size() when it filters.
  std::vector<std::byte> page(uint8_t lsp) const;

 private:
  struct Entry {
    fabrics::DiscoveryLogEntry wire;
    bool is_port_local;  // on the listener that the host came by
  };
  uint64_t generation_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace weft::nvmf
