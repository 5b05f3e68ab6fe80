import { lexicographicSortSchema } from 'graphql';
import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './definitions.ts';
import './run-queries.ts';
import './run-commands.ts';
import './run-changes.ts';
import '../project/relations.ts';
import './module-relations.ts';
import '../project/subscription.ts';
import '../agent/agent-stream.ts';
import { operations } from '../modules.ts';
import { addOperations } from '../operations/graphql.ts';

addOperations(operations);

/** The schema of the API. `schema.graphql` is its printed copy, kept fresh by `print-schema.ts --check`. */
export const schema: GraphQLSchema = lexicographicSortSchema(builder.toSchema());
