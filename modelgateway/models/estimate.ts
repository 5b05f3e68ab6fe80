import type { Usage } from '../../crds/agent-run.ts';

/*
 * How many tokens a call will have. Before it, a bound that needs no tokenizer: what is reserved has to be enough, and cheap to say. After
 * it, where the provider counted nothing, a tokenizer's count; it is loaded only then, because its tables cost tens of megabytes.
 */

/** Bytes of JSON per token: English has more than four, code and other scripts about three, so this is rather too many tokens than too few. */
const BYTES_PER_TOKEN = 3;

/** Tokens a prompt has at most, from its JSON (messages and tools). */
export function promptBound(json: string): number {
  return Math.ceil(Buffer.byteLength(json) / BYTES_PER_TOKEN) + 16;
}

/** Tokens of a text where nobody counted. */
export type CountTokens = (text: string) => Promise<number>;

/** Counts with the tables of the cl100k encoding (half the memory of its successor's, and near enough); texts above a megabyte by their bytes, because counting them would hold up everybody else. */
export const countTokens: CountTokens = async (text) => {
  if (text.length > 1_000_000) return promptBound(text);
  const { countTokens: count } = await import('gpt-tokenizer/encoding/cl100k_base');
  return count(text);
};

/** What a call without an answer may have used: a bound, because its tokens are not worth a tokenizer. */
export function lostUsage(prompt: string, partial: string): Usage {
  return { input: promptBound(prompt), cached: 0, cacheWrite: 0, output: partial === '' ? 0 : promptBound(partial), reasoning: 0 };
}

/** Usage where the provider said nothing. */
export async function estimatedUsage(count: CountTokens, prompt: string, answer: string, reasoning: string): Promise<Usage> {
  const [input, output, thought] = await Promise.all([count(prompt), count(answer), reasoning === '' ? 0 : count(reasoning)]);
  return { input, cached: 0, cacheWrite: 0, output: Math.max(1, output + thought), reasoning: thought };
}
