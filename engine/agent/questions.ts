import { AGENT_LIMITS } from '../../crds/agent-parts.ts';
import type { InputAnswers, InputQuestion } from '../../crds/agent-run.ts';
import { isObject } from '../expr/values.ts';
import { checkSchema, isJson } from '../schema/schemas.ts';
import { shorten } from '../errors.ts';
import { schemaProblems } from './arguments.ts';
import { cleanSchema, cleanText } from './text.ts';

/* What a tool asks a person in the middle of a call, and what is answered: forms of MCP's elicitation. */

/** Characters of a question as people are shown it. */
const MESSAGE = 4_096;
/** A form is flat: the fields of one object, each of one of these types. */
const TYPES: ReadonlySet<unknown> = new Set(['string', 'number', 'integer', 'boolean', 'array']);

/**
 * A form as a person may see it: texts without markup, its schema checked and bounded. The server is not trusted: gives what is wrong with
 * a form that cannot be answered.
 */
export function takeInQuestion(key: string, message: string, schema: unknown): { readonly question: InputQuestion } | { readonly problem: string } {
  const shown = JSON.stringify(cleanText(key, 64));
  if (key === '' || key.length > 128) return { problem: `the question ${shown} has a name of 1 to 128 characters` };
  if (!isJson(schema) || !isObject(schema) || schema['type'] !== 'object') return { problem: `the question ${shown} asks for no object` };
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > AGENT_LIMITS.schemaBytes) return { problem: `the form of question ${shown} has ${bytes} bytes, at most ${AGENT_LIMITS.schemaBytes} are taken in` };
  const { properties = {} } = schema;
  const fields = isJson(properties) && isObject(properties) ? Object.entries(properties) : [];
  const odd = fields.find(([, field]) => !isObject(field) || !TYPES.has(field['type']));
  if (!isObject(properties) || odd !== undefined) return { problem: `the form of question ${shown} is not flat${odd === undefined ? '' : `: ${shorten(cleanText(odd[0], 64))}`}` };
  const broken = checkSchema(schema);
  if (broken.length > 0) return { problem: `the form of question ${shown} is broken: ${shorten(broken.join('; '), 300)}` };
  const cleaned = cleanSchema(schema);
  return isObject(cleaned) ? { question: { key, message: cleanText(message, MESSAGE), schema: cleaned } } : { problem: `the question ${shown} asks for no object` };
}

/** What is wrong with answers: one for each question and no other, content exactly with `accept`, only of the fields asked for, and fitting. Never throws. */
export async function answerProblems(questions: readonly InputQuestion[], answers: InputAnswers): Promise<readonly string[]> {
  const problems: string[] = [];
  const asked = new Set(questions.map(({ key }) => key));
  for (const key of Object.keys(answers)) if (!asked.has(key)) problems.push(`answers.${shorten(key, 64)}: nobody asks that`);
  for (const { key, schema } of questions) problems.push(...await problemsOf(schema, Object.hasOwn(answers, key) ? answers[key] : undefined, `answers.${key}`));
  if (problems.length === 0 && Buffer.byteLength(JSON.stringify(answers)) > AGENT_LIMITS.inputBytes) problems.push(`answers have at most ${AGENT_LIMITS.inputBytes} bytes`);
  return problems;
}

async function problemsOf(schema: InputQuestion['schema'], answer: InputAnswers[string] | undefined, field: string): Promise<readonly string[]> {
  if (answer === undefined) return [`${field} is missing: accept, decline or cancel`];
  if (answer.action !== 'accept') return answer.content === undefined ? [] : [`${field}.content belongs to accept`];
  if (answer.content === undefined) return [`${field}.content is missing`];
  const properties = schema['properties'];
  const known = isJson(properties) && isObject(properties) ? properties : {};
  const unasked = Object.keys(answer.content).filter((name) => !Object.hasOwn(known, name));
  if (unasked.length > 0) return unasked.map((name) => `${field}.content.${shorten(name, 64)}: nobody asks that`);
  return schemaProblems(schema, answer.content, `${field}.content`);
}
