import type { Stack } from '../../hack/stack/stack.ts';

declare global {
  var ramboTestStack: { readonly stack: Stack; readonly dir: string } | undefined;
}

/** Remembers the stack that set-up started. jest loads set-up and teardown apart: only the process is common to both. */
export function keepStack(stack: Stack, dir: string): void {
  globalThis.ramboTestStack = { stack, dir };
}

/** The stack that set-up started, once. */
export function takeStack(): { readonly stack: Stack; readonly dir: string } | undefined {
  const kept = globalThis.ramboTestStack;
  globalThis.ramboTestStack = undefined;
  return kept;
}
