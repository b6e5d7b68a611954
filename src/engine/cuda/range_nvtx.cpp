// Ranges that Nsight Systems shows, in NVTX's header-only library; nothing where the toolkit has none of its payloads.
#include "src/engine/cuda/device.h"

#if __has_include(<nvtx3/nvToolsExtPayload.h>)

#include <nvtx3/nvToolsExtPayload.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace lfm::device::inline LFM_TARGET {

namespace {

struct Payload {
  std::int32_t batch;
  std::int32_t layer;
};

nvtxPayloadSchemaEntry_t entry(const char* name, const char* description, std::size_t offset) {
  nvtxPayloadSchemaEntry_t entry{};
  entry.type = NVTX_PAYLOAD_ENTRY_TYPE_INT32;
  entry.name = name;
  entry.description = description;
  entry.offset = offset;
  return entry;
}

/// Registered once, by the first range; without a profiler these calls do nothing.
struct Domain {
  nvtxDomainHandle_t handle = nvtxDomainCreateA("lfm");
  std::uint64_t schema = 0;

  Domain() {
    const std::array entries = {entry("batch", "images", offsetof(Payload, batch)),
                                entry("layer", "from 0", offsetof(Payload, layer))};
    nvtxPayloadSchemaAttr_t attributes{};
    attributes.fieldMask = NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NAME | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_TYPE |
                           NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_ENTRIES | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NUM_ENTRIES |
                           NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_STATIC_SIZE;
    attributes.name = "pass";
    attributes.type = NVTX_PAYLOAD_SCHEMA_TYPE_STATIC;
    attributes.entries = entries.data();
    attributes.numEntries = entries.size();
    attributes.payloadStaticSize = sizeof(Payload);
    schema = nvtxPayloadSchemaRegister(handle, &attributes);
  }
};

const Domain& domain() {
  static const Domain domain;
  return domain;
}

}  // namespace

Range::Range(const char* name, int batch, int layer) {
  const Payload payload{batch, layer};
  nvtxPayloadData_t data{};
  data.schemaId = domain().schema;
  data.size = sizeof payload;
  data.payload = &payload;
  nvtxEventAttributes_t attributes{};
  attributes.version = NVTX_VERSION;
  attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  attributes.messageType = NVTX_MESSAGE_TYPE_ASCII;
  attributes.message.ascii = name;
  attributes.payloadType = NVTX_PAYLOAD_TYPE_EXT;
  attributes.reserved0 = 1;  // payloads
  attributes.payload.ullValue = NVTX_POINTER_AS_PAYLOAD_ULLVALUE(&data);
  nvtxDomainRangePushEx(domain().handle, &attributes);
}

Range::~Range() { nvtxDomainRangePop(domain().handle); }

}  // namespace lfm::device::inline LFM_TARGET

#else

namespace lfm::device::inline LFM_TARGET {

Range::Range(const char*, int, int) {}
Range::~Range() = default;

}  // namespace lfm::device::inline LFM_TARGET

#endif
