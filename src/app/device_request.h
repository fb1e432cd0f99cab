// From a device as the configuration writes it to what platform/ opens.
#pragma once
#include "control/device_spec.h"
#include "platform/linux/open_device.h"

namespace weft::app {

platform::DeviceRequest device_request(const control::DeviceSpec& spec);

}  // namespace weft::app
