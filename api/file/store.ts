import type { ObjectStore } from '../../platform/objects/index.ts';
import { ApiError } from '../errors.ts';
import type { OperationContext } from '../operations/operation.ts';

/** The object store. Throws UNAVAILABLE, saying so, where the installation has none. */
export function objectsOf({ services }: Pick<OperationContext, 'services'>): ObjectStore {
  if (services.objects !== undefined) return services.objects;
  throw new ApiError('UNAVAILABLE', 'this installation has no object store, so it keeps no files: whoever runs it sets `objectStore` in the values of the chart');
}

