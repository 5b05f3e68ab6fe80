import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { isSource, ROOT, trackedFiles } from '../verify/files.ts';

/** A place in the code that logs. */
export interface LogLine {
  readonly file: string;
  readonly line: number;
  readonly level: string;
  /** The constant message. */
  readonly message: string;
  readonly fields: readonly string[];
}

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** Every line of log the processes may write, from the code. Throws where a message or its facts are not written out. */
export function logLines(): readonly LogLine[] {
  return trackedFiles().filter((file) => isSource(file) && !file.startsWith('platform/log/')).flatMap(linesOf);
}

function linesOf(file: string): readonly LogLine[] {
  const source = ts.createSourceFile(file, readFileSync(path.join(ROOT, file), 'utf8'), ts.ScriptTarget.ESNext, true);
  const found: LogLine[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const level = levelOf(node.expression);
      if (level !== undefined) found.push(...lineOf(source, node, level));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** `log.warn`, `this.#p.log.warn`, `parts.log.warn`. */
function levelOf(callee: ts.Expression): string | undefined {
  if (!ts.isPropertyAccessExpression(callee) || !LEVELS.includes(callee.name.text)) return undefined;
  const target = callee.expression;
  const name = ts.isIdentifier(target) ? target.text : ts.isPropertyAccessExpression(target) ? target.name.text.replace(/^#/, '') : '';
  return name === 'log' ? callee.name.text : undefined;
}

function lineOf(source: ts.SourceFile, call: ts.CallExpression, level: string): readonly LogLine[] {
  const line = source.getLineAndCharacterOfPosition(call.getStart()).line + 1;
  const [facts, message] = call.arguments;
  if (facts === undefined || message === undefined || !ts.isStringLiteralLike(message)) throw new Error(`${source.fileName}:${line}: log with facts as an object and a constant message`);
  return [{ file: source.fileName, line, level, message: message.text, fields: fieldsOf(source, facts) }];
}

/** Names in an object, and in those that are spread into it. */
function fieldsOf(source: ts.SourceFile, node: ts.Expression): readonly string[] {
  if (ts.isParenthesizedExpression(node)) return fieldsOf(source, node.expression);
  if (ts.isConditionalExpression(node)) return [...fieldsOf(source, node.whenTrue), ...fieldsOf(source, node.whenFalse)];
  if (ts.isIdentifier(node)) return fieldsOf(source, initialiser(source, node));
  if (!ts.isObjectLiteralExpression(node)) throw new Error(`${source.fileName}: the facts of a log line are written out where they are logged, found ${node.getText(source)}`);
  return node.properties.flatMap((property) => (ts.isSpreadAssignment(property) ? fieldsOf(source, property.expression) : [property.name?.getText(source) ?? '']));
}

function initialiser(source: ts.SourceFile, name: ts.Identifier): ts.Expression {
  let found: ts.Expression | undefined;
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.name.text === name.text && node.pos < name.pos) found = node.initializer ?? found;
    ts.forEachChild(node, visit);
  };
  visit(source);
  if (found === undefined) throw new Error(`${source.fileName}: what ${name.text} holds is not seen where it is logged`);
  return found;
}
