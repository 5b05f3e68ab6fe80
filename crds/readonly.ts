/** `T` with every object and array below it readonly: parsed custom resources are never changed in place. */
export type DeepReadonly<T> =
  T extends readonly (infer E)[] ? readonly DeepReadonly<E>[]
    : T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T;
