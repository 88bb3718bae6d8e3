import type { ErrorDetail } from "../../../core/errors.ts";
import { PrismError } from "../../../core/errors.ts";
import type { NameOf, Names } from "../../../http/api/file-form.ts";

/** @param projectId of the object that names it: people must be reachable there */
type FindByName = (kind: "people" | "projects", ref: string, projectId: string | null) => string | undefined;

/** Objects that names and ids mean, of all kinds and projects that were read. */
export class KnownNames {
  readonly #ids = new Map<string, string>();
  readonly #names = new Map<string, { readonly name: string; readonly projectId: string | null }>();
  /** Kinds of projects that were asked for and are not read yet. */
  readonly wanted = new Map<string, { readonly kind: string; readonly projectId: string }>();
  /** Ids of users whose names were asked for. */
  readonly people = new Set<string>();
  readonly #read = new Set<string>();
  readonly #find: FindByName;
  readonly #slugOf: (projectId: string) => string | undefined;

  /**
   * @param find a person, or a project, by its name
   * @param slugOf of a project that the caller may read
   */
  constructor(find: FindByName, slugOf: (projectId: string) => string | undefined) {
    this.#find = find;
    this.#slugOf = slugOf;
  }

  add(kind: string, projectId: string | null, name: string, id: string): void {
    this.#ids.set(`${kind} ${projectId} ${name}`, id);
    this.#names.set(`${kind} ${id}`, { name, projectId });
  }

  /** The id of an object of the files, drawn if it is new. */
  idIn(kind: string, projectId: string | null, name: string): string {
    return this.#ids.get(`${kind} ${projectId} ${name}`) ?? "";
  }

  isRead(kind: string, projectId: string | null): boolean {
    return this.#read.has(`${kind} ${projectId}`);
  }

  read(kind: string, projectId: string | null): void {
    this.#read.add(`${kind} ${projectId}`);
    this.wanted.delete(`${kind} ${projectId}`);
  }

  /** Names as an object of a project writes them. @param problems receives what names nothing */
  of(projectId: string | null, problems: ErrorDetail[]): Names {
    const refuse = (path: string, code: string, message: string): undefined => {
      problems.push({ path, code, message });
      return undefined;
    };
    return {
      idOf: (kind, { name, project }: NameOf, path) => {
        if (kind === "people") {
          const id = this.#find("people", name, projectId);
          if (id !== undefined) return id;
          const message = `${name} is no active user that you can reach`;
          const fix = projectId === null ? undefined : "add the person to the members of the project";
          problems.push({ path, code: "RECIPIENT_NOT_FOUND", message, ...(fix !== undefined && { fix }) });
          return undefined;
        }
        const owner = project === undefined ? projectId : this.#find("projects", project, projectId);
        if (owner === undefined) return refuse(path, "PROJECT_NOT_FOUND", `there is no project ${project}`);
        if (owner !== null && !this.isRead(kind, owner)) {
          this.wanted.set(`${kind} ${owner}`, { kind, projectId: owner });
          return undefined;
        }
        const id = this.#ids.get(`${kind} ${owner} ${name}`);
        return id ?? refuse(path, "NOT_FOUND", `there is no ${name} in ${kind}`);
      },
      nameOf: (kind, id) => {
        const found = this.#names.get(`${kind} ${id}`);
        if (!found) {
          if (kind === "people") this.people.add(id);
          return undefined;
        }
        if (found.projectId === projectId || found.projectId === null) return { name: found.name };
        const project = this.#slugOf(found.projectId);
        return project === undefined ? undefined : { name: found.name, project };
      },
    };
  }
}

/** What a body refuses, as problems of the object. */
export function detailsOf(error: unknown): readonly ErrorDetail[] {
  if (!(error instanceof PrismError)) throw error;
  const { code, message, details } = error;
  return details && details.length > 0 ? details.map((each) => ({ code, ...each })) : [{ path: "", code, message }];
}
