/** A request of the API, as the list shows it. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  readonly permission: string;
}

/** What the list needs of the description of the API. */
export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentOperation>>>>;
}

interface DocumentOperation {
  readonly operationId?: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly "x-permission"?: string;
  readonly "x-alias-of"?: string;
}

export function operationsOf(document: ApiDocument): readonly Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { operationId, ...operation }]) => operationId !== undefined && !operation["x-alias-of"])
      .map(([method, operation]) => ({
        method: method.toUpperCase(),
        path,
        summary: operation.summary,
        tag: operation.tags[0] ?? "",
        permission: operation["x-permission"] ?? "",
      })),
  );
}
