// PROTOBUF_NATIVE: the file descriptors of a message and of all that it needs, as JSON with one field in base64.
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { schemaError } from './errors.ts'

/** The full name of the message. @throws SchemaError SCHEMA_INVALID */
export function rootMessageOf(data: Uint8Array): string {
  const { set, root, file } = partsOf(data)
  let found: string | undefined
  try {
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(set, 'base64')))
    const descriptor = registry.getFile(file.replace(/\.proto$/, '')) ?? registry.getFile(file)
    const names = [root, `${descriptor?.proto.package ?? ''}.${root}`]
    found = descriptor && names.find(name => registry.getMessage(name)?.file === descriptor)
  } catch (cause) {
    throw schemaError('SCHEMA_INVALID', 'deserialize ProtobufNative Schema failed', cause)
  }
  if (found !== undefined) return found
  throw schemaError(
    'SCHEMA_INVALID',
    'protobuf root message descriptor is null, please recheck rootMessageTypeName or rootFileDescriptorName conf.'
  )
}

function partsOf(data: Uint8Array): { set: string; root: string; file: string } {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(data).toString('utf8'))
  } catch (cause) {
    throw schemaError('SCHEMA_INVALID', 'deserialize ProtobufNative Schema failed', cause)
  }
  if (typeof json === 'object' && json !== null && 'fileDescriptorSet' in json) {
    const {
      fileDescriptorSet: set,
      rootMessageTypeName: root,
      rootFileDescriptorName: file
    } = json as Partial<Record<string, unknown>>
    if (typeof set === 'string' && typeof root === 'string' && typeof file === 'string') return { set, root, file }
  }
  throw schemaError('SCHEMA_INVALID', 'Invalid schema definition data for PROTOBUF_NATIVE schema')
}
