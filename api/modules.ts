import { registry } from './operations/registry.ts';
import { projectOperations } from './project/operations.ts';

/** All operations, module by module: GraphQL, REST, OpenAPI and the authorisation matrix are made from this list. */
export const operations = registry(projectOperations);
