import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { isSource, isTest, ROOT, trackedFiles } from './files.ts';

interface Counters {
  readonly longFiles: string[];
  functions: number;
  longFunctions: number;
  readonly reconciles: number[];
  any: number;
  as: number;
  bang: number;
  exports: number;
  documented: number;
  lines: number;
  readonly clocks: string[];
}

const MAX_FILE = 450;
const MAX_FUNCTION = 60;
const CLOCK = /\b(Date\.now|performance\.now|setTimeout|setInterval|Math\.random)\b/;

/** Prints the counters of the house beside those of well-kept codebases; returns what is over an aim of zero. */
export function houseCounters(): readonly string[] {
  const files = trackedFiles();
  const c: Counters = { longFiles: [], functions: 0, longFunctions: 0, reconciles: [], any: 0, as: 0, bang: 0, exports: 0, documented: 0, lines: 0, clocks: [] };
  const imports = new Map<string, readonly string[]>();
  for (const file of files.filter(isSource)) {
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true);
    c.lines += source.getLineStarts().length;
    if (source.getLineStarts().length > MAX_FILE) c.longFiles.push(file);
    imports.set(file, valueImports(file, source));
    visit(source, source, c);
  }
  const tests = files.filter(isTest).reduce((sum, file) => sum + readFileSync(path.join(ROOT, file), 'utf8').split('\n').length, 0);
  const cycles = filesInCycles(imports);
  print(c, cycles, tests);
  return [
    ...c.longFiles.map((file) => `${file} is longer than ${MAX_FILE} lines`),
    ...cycles.map((file) => `${file} is part of an import cycle`),
    ...(c.any > 0 ? [`${c.any} uses of any`] : []),
    ...c.clocks.map((place) => `${place} uses the clock directly: inject platform/clock`),
  ];
}

function visit(node: ts.Node, source: ts.SourceFile, c: Counters): void {
  if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) countFunction(node, source, c);
  if (node.kind === ts.SyntaxKind.AnyKeyword) c.any++;
  if (ts.isAsExpression(node) && node.type.getText(source) !== 'const') c.as++;
  if (ts.isNonNullExpression(node)) c.bang++;
  if (ts.isIdentifier(node) && isClock(node, source)) c.clocks.push(`${source.fileName}:${source.getLineAndCharacterOfPosition(node.pos).line + 1}`);
  if (node.parent === source && isExported(node)) {
    c.exports++;
    if (ts.getJSDocCommentsAndTags(node).length > 0) c.documented++;
  }
  ts.forEachChild(node, (child) => { visit(child, source, c); });
}

function countFunction(node: ts.SignatureDeclaration, source: ts.SourceFile, c: Counters): void {
  const length = source.getLineAndCharacterOfPosition(node.end).line - source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
  c.functions++;
  if (length > MAX_FUNCTION) c.longFunctions++;
  if (node.name?.getText(source).startsWith('reconcile') === true) c.reconciles.push(length);
}

/** platform/clock and platform/ids are where it is read; a `new Date(ms)` only formats. */
function isClock(node: ts.Identifier, source: ts.SourceFile): boolean {
  if (/^platform\/(clock|ids)\//.test(source.fileName)) return false;
  const { parent } = node;
  const whole = ts.isPropertyAccessExpression(parent) && parent.expression === node ? parent.getText(source) : node.text;
  if (node.text === 'Date' && ts.isNewExpression(parent)) return parent.arguments === undefined || parent.arguments.length === 0;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) return false;
  return CLOCK.test(whole);
}

function isExported(node: ts.Node): boolean {
  if (!ts.canHaveModifiers(node)) return false;
  return ts.getModifiers(node)?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function valueImports(file: string, source: ts.SourceFile): readonly string[] {
  return source.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    const typeOnly = ts.isImportDeclaration(statement) ? onlyTypes(statement) : statement.isTypeOnly;
    if (typeOnly || statement.moduleSpecifier === undefined || !ts.isStringLiteral(statement.moduleSpecifier)) return [];
    const { text } = statement.moduleSpecifier;
    return text.startsWith('.') ? [path.join(path.dirname(file), text)] : [];
  });
}

function onlyTypes(statement: ts.ImportDeclaration): boolean {
  const clause = statement.importClause;
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const named = clause.namedBindings;
  return clause.name === undefined && named !== undefined && ts.isNamedImports(named) && named.elements.length > 0 && named.elements.every((e) => e.isTypeOnly);
}

/** Files that reach themselves: Tarjan's strongly connected components of more than one file. */
function filesInCycles(imports: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[] = [];
  const connect = (file: string): void => {
    index.set(file, index.size);
    low.set(file, index.get(file) ?? 0);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      if (!imports.has(next)) continue;
      if (!index.has(next)) {
        connect(next);
        low.set(file, Math.min(low.get(file) ?? 0, low.get(next) ?? 0));
      } else if (stack.includes(next)) low.set(file, Math.min(low.get(file) ?? 0, index.get(next) ?? 0));
    }
    if (low.get(file) !== index.get(file)) return;
    const component = stack.splice(stack.indexOf(file));
    if (component.length > 1) found.push(...component);
  };
  for (const file of imports.keys()) if (!index.has(file)) connect(file);
  return found;
}

function print(c: Counters, cycles: readonly string[], testLines: number): void {
  const kloc = c.lines / 1_000;
  const sorted = [...c.reconciles].sort((a, b) => a - b);
  const rows: readonly (readonly [string, string, string, string])[] = [
    [`files > ${MAX_FILE} lines`, String(c.longFiles.length), '0', 'pepr 0'],
    [`functions > ${MAX_FUNCTION} lines`, `${(100 * c.longFunctions / Math.max(1, c.functions)).toFixed(1)} %`, '<= 3 %', 'Kueue 1.8 %, Karpenter 3.4 %'],
    ['reconcile length, median / max', `${sorted[sorted.length >> 1] ?? 0} / ${sorted.at(-1) ?? 0}`, 'max <= 60', 'Karpenter 34 / 75'],
    ['files in import cycles', String(cycles.length), '0', 'temporal, restate 0'],
    ['any / as / ! per kLOC', `${(c.any / kloc).toFixed(1)} / ${(c.as / kloc).toFixed(1)} / ${(c.bang / kloc).toFixed(1)}`, '0 / <= 2 / <= 1', 'supervisor 0.1 / 1.1 / 0.8'],
    ['exports documented', `${(100 * c.documented / Math.max(1, c.exports)).toFixed(0)} %`, '>= 95 %', 'Crossplane 99 %'],
    ['test : source lines', (testLines / Math.max(1, c.lines)).toFixed(2), '>= 1.5', 'Karpenter 2.7, temporal 1.4'],
    ['direct clock use', String(c.clocks.length), '0', 'Kueue 2'],
    ['source lines', String(c.lines), '', ''],
  ];
  for (const [name, ours, aim, models] of rows) process.stdout.write(`  ${name.padEnd(32)} ${ours.padEnd(18)} aim ${aim.padEnd(16)} ${models}\n`);
}
