import { z } from 'zod';

/** Name of an object of Kubernetes in an input: a DNS label. */
export function objectName(description: string): z.ZodString {
  return z.string().min(1).max(63).regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'is no name of an object: a DNS label of at most 63 characters').describe(description);
}
