import type { Database as Sqlite } from "better-sqlite3";
import type { Trx } from "../../../store/database.ts";
import { policiesOf } from "./manage.ts";
import { Policies, type PolicyRef, storedRouting } from "./policies.ts";
import { type PolicyDefinition, storedDefinition } from "./policy.ts";
import { type CompiledRouting, compileRouting, type RoutingDocument } from "./routing.ts";

/* Policies and routes as an apply of configuration files leaves them, to look at once it is rolled back. */

/** What one project has of them, as rows. */
export interface PlannedAlerting {
  /** Null: the built-in routing. */
  readonly document: RoutingDocument | null;
  readonly policies: readonly (PolicyRef & { readonly definition: string })[];
}

/** In the transaction that has changed them. */
export async function readPlannedAlerting(trx: Trx, projectId: string): Promise<PlannedAlerting> {
  const row = await storedRouting(trx, projectId);
  const document = row ? (JSON.parse(row.document) as RoutingDocument) : null;
  const policies = (await policiesOf(trx, projectId)).filter(({ version }) => version > 0);
  return {
    document,
    policies: policies.map(({ id, version, name, definition }) => ({ id, version, name, definition })),
  };
}

/** {@link Policies} with those of some projects in place of the stored ones. */
export class PlannedPolicies extends Policies {
  readonly #refs = new Map<string, ReadonlyMap<string, PolicyRef>>();
  readonly #definitions = new Map<string, PolicyDefinition>();
  readonly #compiled = new Map<string, CompiledRouting>();

  constructor(reader: Sqlite, planned: ReadonlyMap<string, PlannedAlerting>) {
    super(reader);
    for (const [projectId, { document, policies }] of planned) {
      const implicit = super.of(projectId).get("default");
      const all = [...(implicit ? [implicit] : []), ...policies];
      this.#refs.set(projectId, new Map(all.map((each) => [each.name, each])));
      for (const { id, version, definition } of policies)
        this.#definitions.set(`${id} ${version}`, storedDefinition(definition));
      // A version that no stored document has.
      if (document) this.#compiled.set(projectId, compileRouting(document, -1));
    }
  }

  override routingOf(projectId: string): CompiledRouting {
    return this.#compiled.get(projectId) ?? super.routingOf(projectId);
  }

  override of(projectId: string): ReadonlyMap<string, PolicyRef> {
    return this.#refs.get(projectId) ?? super.of(projectId);
  }

  override definitionOf(ref: Pick<PolicyRef, "id" | "version">): PolicyDefinition {
    return this.#definitions.get(`${ref.id} ${ref.version}`) ?? super.definitionOf(ref);
  }
}
