#include "platform/linux/rdma_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace weft::platform {
namespace {

/// A loaded library; its symbols by name.
class Loader {
 public:
  explicit Loader(const char* name) : handle_(::dlopen(name, RTLD_NOW | RTLD_GLOBAL)) {
    if (handle_ == nullptr) note(::dlerror());
  }
  template <typename F>
  void find(F& function, const char* name) {
    if (handle_ == nullptr) return;
    function = reinterpret_cast<F>(::dlsym(handle_, name));
    if (function == nullptr) note(name);
  }
  const std::string& missing() const { return missing_; }

 private:
  void note(const char* what) { missing_ += missing_.empty() ? what : fmt::format(", {}", what); }
  void* handle_;
  std::string missing_;
};

Result<RdmaLibrary> load_now() {
  RdmaLibrary library{};
  Loader verbs("libibverbs.so.1");
  verbs.find(library.get_device_name, "ibv_get_device_name");
  verbs.find(library.query_device, "ibv_query_device");
  verbs.find(library.alloc_pd, "ibv_alloc_pd");
  verbs.find(library.dealloc_pd, "ibv_dealloc_pd");
  verbs.find(library.reg_mr, "ibv_reg_mr");
  verbs.find(library.dereg_mr, "ibv_dereg_mr");
  verbs.find(library.create_comp_channel, "ibv_create_comp_channel");
  verbs.find(library.destroy_comp_channel, "ibv_destroy_comp_channel");
  verbs.find(library.create_cq, "ibv_create_cq");
  verbs.find(library.destroy_cq, "ibv_destroy_cq");
  verbs.find(library.get_cq_event, "ibv_get_cq_event");
  verbs.find(library.ack_cq_events, "ibv_ack_cq_events");
  verbs.find(library.create_srq, "ibv_create_srq");
  verbs.find(library.modify_srq, "ibv_modify_srq");
  verbs.find(library.destroy_srq, "ibv_destroy_srq");
  verbs.find(library.modify_qp, "ibv_modify_qp");
  verbs.find(library.get_async_event, "ibv_get_async_event");
  verbs.find(library.ack_async_event, "ibv_ack_async_event");
  Loader cm("librdmacm.so.1");
  cm.find(library.create_event_channel, "rdma_create_event_channel");
  cm.find(library.destroy_event_channel, "rdma_destroy_event_channel");
  cm.find(library.create_id, "rdma_create_id");
  cm.find(library.destroy_id, "rdma_destroy_id");
  cm.find(library.set_option, "rdma_set_option");
  cm.find(library.bind_addr, "rdma_bind_addr");
  cm.find(library.listen, "rdma_listen");
  cm.find(library.resolve_addr, "rdma_resolve_addr");
  cm.find(library.resolve_route, "rdma_resolve_route");
  cm.find(library.create_qp, "rdma_create_qp");
  cm.find(library.destroy_qp, "rdma_destroy_qp");
  cm.find(library.connect, "rdma_connect");
  cm.find(library.accept, "rdma_accept");
  cm.find(library.reject, "rdma_reject");
  cm.find(library.disconnect, "rdma_disconnect");
  cm.find(library.notify, "rdma_notify");
  cm.find(library.get_cm_event, "rdma_get_cm_event");
  cm.find(library.ack_cm_event, "rdma_ack_cm_event");
  cm.find(library.get_devices, "rdma_get_devices");
  cm.find(library.free_devices, "rdma_free_devices");
  for (const std::string& missing : {verbs.missing(), cm.missing()}) {
    if (!missing.empty()) return fail(Errc::kUnsupported, fmt::format("RDMA needs the packages libibverbs1, librdmacm1 and ibverbs-providers ({})", missing));
  }
  return library;
}

}  // namespace

Result<const RdmaLibrary*> RdmaLibrary::load() {
  static const Result<RdmaLibrary> kLibrary = load_now();
  if (!kLibrary) return std::unexpected(kLibrary.error());
  return &*kLibrary;
}

}  // namespace weft::platform
