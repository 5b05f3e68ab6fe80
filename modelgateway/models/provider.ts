import type { LanguageModelV4 } from '@ai-sdk/provider';
import type { ModelSpec } from '../../crds/model.ts';
import { capped } from '../../platform/net/fetch.ts';

/** Makes the client of one Model. Every request of it goes through `fetch`, which refuses addresses it must not reach. */
export type MakeModel = (spec: ModelSpec, apiKey: string | undefined, fetch: typeof globalThis.fetch) => Promise<LanguageModelV4>;

const OPENAI = 'https://api.openai.com/v1';
const ANTHROPIC = 'https://api.anthropic.com/v1';
/** For servers that want no key: without any the libraries would look for one in the environment. */
const NO_KEY = 'none';

/** Clients of the AI SDK, each library loaded when the first Model needs it. */
export const makeModel: MakeModel = async (spec, apiKey, fetch) => {
  switch (spec.provider) {
    case 'openai': {
      const { createOpenAI } = await import('@ai-sdk/openai');
      return createOpenAI({ apiKey: apiKey ?? NO_KEY, baseURL: spec.baseUrl ?? OPENAI, fetch }).chat(spec.model);
    }
    case 'anthropic': {
      const { createAnthropic } = await import('@ai-sdk/anthropic');
      return createAnthropic({ apiKey: apiKey ?? NO_KEY, baseURL: spec.baseUrl ?? ANTHROPIC, fetch })(spec.model);
    }
    case 'openai-compatible': {
      const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
      return createOpenAICompatible({
        name: 'rambo', baseURL: spec.baseUrl ?? OPENAI, fetch, includeUsage: true, supportsStructuredOutputs: spec.capabilities?.structuredOutput === true, ...(apiKey === undefined ? {} : { apiKey }),
      }).chatModel(spec.model);
    }
  }
};

/** Bytes that come over the wire for one token at most: streams say much around each. */
const BYTES_PER_TOKEN = 1_024;
const LEAST_BYTES = 16_777_216;

/** A fetch whose answers are cut where no answer of so many tokens ends: a server that never stops must not fill the memory. Reading on fails with `ResultTooLarge`. */
export function boundedFetch(fetch: typeof globalThis.fetch, maxOutputTokens: number): typeof globalThis.fetch {
  return async (input, init) => capped(await fetch(input, init), LEAST_BYTES + maxOutputTokens * BYTES_PER_TOKEN);
}
