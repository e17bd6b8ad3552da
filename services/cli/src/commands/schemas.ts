import { Option, type Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import { addDestroying, adminCommand, examples, property, wholeNumber } from '../options.ts'
import type { AddFlags, DeleteFlags } from '../schema-admin.ts'

const TOPIC = 'name, tenant/namespace/name or persistent://tenant/namespace/name'

export function addSchemas(program: Command): void {
  const schemas = program
    .command('schemas')
    .description('List, show, add, check and delete the schemas of a topic.')
    .addHelpText('after', examples('strata schemas list orders', 'strata schemas add orders order.avsc --type AVRO'))
  subcommand(schemas, 'list', 'List the versions of the schema of a topic.', 'list orders').action(
    async (topic: string, flags: AdminFlags) => {
      const { listSchemas } = await import('../schema-admin.ts')
      await listSchemas(topic, flags)
    }
  )
  subcommand(schemas, 'show', 'Print the definition of a version.', 'show orders 0')
    .argument('[version]', 'the latest unless given', wholeNumber(0))
    .action(async (topic: string, version: number | undefined, flags: AdminFlags) => {
      const { showSchema } = await import('../schema-admin.ts')
      await showSchema({ topic, version }, flags)
    })
  addAdding(schemas)
  addDestroying(subcommand(schemas, 'delete', 'Delete all versions.', 'delete orders --dry-run'))
    .option('--force', 'without a trace: the next one is version 0 again')
    .action(async (topic: string, flags: DeleteFlags) => {
      const { deleteSchemas } = await import('../schema-admin.ts')
      await deleteSchemas(topic, flags)
    })
}

function addAdding(schemas: Command): void {
  withDefinition(subcommand(schemas, 'add', 'Add a version.', 'add orders order.avsc --type AVRO')).action(
    async (topic: string, file: string, flags: AddFlags) => {
      const { addSchema } = await import('../schema-admin.ts')
      await addSchema(topic, file, flags)
    }
  )
  const check = 'Say whether a version would be taken, and why not; ends with 1 where it would not.'
  withDefinition(subcommand(schemas, 'check', check, 'check orders order.avsc --type AVRO')).action(
    async (topic: string, file: string, flags: AddFlags) => {
      const { checkSchema } = await import('../schema-admin.ts')
      await checkSchema(topic, file, flags)
    }
  )
}

function withDefinition(command: Command): Command {
  return command
    .argument('<file>', 'its definition; - for standard input')
    .addOption(new Option('--type <type>', 'such as AVRO, JSON, PROTOBUF, STRING').default('AVRO'))
    .option('--property <key=value>', 'kept with it; may be repeated', property, {})
}

function subcommand(schemas: Command, usage: string, description: string, example: string): Command {
  return adminCommand(schemas, usage, description)
    .argument('<topic>', TOPIC)
    .addHelpText('after', examples(`strata schemas ${example}`))
}
