import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { verifyAudit } from '../../prisma/audit/index.ts';
import type { BrokenLink } from '../../prisma/audit/index.ts';
import { EXIT_FAILED } from '../errors.ts';
import type { Io } from '../io/io.ts';
import { plural, prose } from '../io/io.ts';
import { databaseOption, needDatabase } from './options.ts';

interface Head { readonly seq: bigint; readonly hash: string }
interface Options { readonly databaseUrl?: string; readonly expect?: Head }

function head(text: string): Head {
  const [, seq, hash] = /^([1-9]\d{0,17}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) throw new InvalidArgumentError('expected <number>:<hash>, as `rambo audit verify` prints it');
  return { seq: BigInt(seq), hash };
}

const MEANING: Readonly<Record<BrokenLink['kind'], string>> = {
  Changed: 'is not what was written', Unlinked: 'does not follow the row before it', Missing: 'is missing',
};

/** `rambo audit verify`. */
export function auditCommand(io: Io): Command {
  return new Command('audit')
    .summary('look whether somebody changed the audit')
    .description(prose(`Walks the chain of hashes over every row of the audit, in one snapshot, and names the rows that were changed, moved or taken out.

Rows cut off the end leave a chain that is whole: keep the head that this prints, somewhere else, and give it the next time.`))
    .addArgument(new Argument('<verb>', 'what to do').choices(['verify']))
    .addOption(databaseOption())
    .addOption(new Option('--expect <head>', 'head that an earlier verification printed, <number>:<hash>').argParser(head))
    .addHelpText('after', `
Examples:
  rambo audit verify
  rambo audit verify --expect "$(cat audit-head)" | tee audit-head

Exit code 1 when the chain is broken.`)
    .action(async (_verb: string, { databaseUrl, expect }: Options) => {
      const report = await verifyAudit(needDatabase(databaseUrl), expect);
      for (const { seq, kind } of report.broken) io.say(`row ${seq} ${MEANING[kind]}`);
      if (report.broken.length > 0) {
        io.say(`the audit is broken: ${plural(report.rows, 'row')} read; compare with a backup, see docs/security.md`);
        io.exit(EXIT_FAILED);
        return;
      }
      io.say(`${plural(report.rows, 'row')}, unbroken`);
      if (report.head !== undefined) io.print(`${report.head.seq}:${report.head.hash}\n`);
    });
}
