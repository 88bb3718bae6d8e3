import { FileCode2, Lock } from "lucide";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { ManagedDrift, ManagedObject } from "../../src/client/api-types.gen.ts";
import { offerWithErrors } from "../ui/errors.ts";
import {
  Badge,
  Banner,
  Button,
  type Column,
  DataTable,
  Dialog,
  Field,
  isPending,
  Loaded,
  now,
  openDialog,
  Textarea,
  Time,
  toast,
  UserText,
  Waiting,
} from "../ui/index.ts";
import { api, PrismError } from "./api.ts";
import { href } from "./base.ts";
import { invalidate, refresh, useGet } from "./query.ts";
import { useRefresh } from "./refresh.ts";

/* What configuration files own, beside the objects of other pages. */

const PATH = "/configuration/managed";

/** The objects of a kind that files own; undefined: of none. */
export function useManagedQuery(kind: string | undefined) {
  return useGet<{ readonly data: readonly ManagedObject[] }>(kind === undefined ? null : PATH, { kind });
}

/** {@link useManagedQuery}, by id. */
export function useManaged(kind: string | undefined): ReadonlyMap<string, ManagedObject> {
  const list = useManagedQuery(kind);
  return new Map((list.data?.data ?? []).map((each) => [each.id, each]));
}

/** Whether only its files may change an object. */
export function isLockedNow({ isLocked, unlockedUntil }: ManagedObject): boolean {
  return isLocked && (unlockedUntil === null || Date.parse(unlockedUntil) <= now.value);
}

/** Whether the form of an object is read only. */
export function useLock(kind: string, id: string): boolean {
  const managed = useManaged(kind).get(id);
  return managed !== undefined && isLockedNow(managed);
}

/** File and line, such as `duty.yaml:12`. */
export function placeOf({ at, source }: Pick<ManagedObject, "at" | "source">): string {
  return at?.replace(/:\d+$/, "") ?? `the files of ${source}`;
}

/** The file that an object is from, whether it is locked, and whether it was changed by hand. */
export function FileBadges({ managed }: { readonly managed: ManagedObject }) {
  const isLocked = isLockedNow(managed);
  const owner = `Configuration files of ${managed.source}${isLocked ? "; only they change it" : ""}`;
  return (
    <span class="inline">
      <Badge tone="plain" icon={isLocked ? Lock : FileCode2} title={owner}>
        from {placeOf(managed)}
        <span class="sr-only">{isLocked ? " (locked)" : ""}</span>
      </Badge>
      {managed.isLocked && !isLocked && (
        <Badge tone="info">
          unlocked until <Time at={managed.unlockedUntil} mode="clock" />
        </Badge>
      )}
      {managed.isDrifted && <Badge tone="warn">changed since it was applied</Badge>}
    </span>
  );
}

/** {@link FileBadges} of an object; nothing for one that is in no file. */
export function ManagedBadge({ kind, id }: { readonly kind: string; readonly id: string }) {
  const managed = useManaged(kind).get(id);
  return managed ? <FileBadges managed={managed} /> : null;
}

/** A column with the files, where any object of the kind is in one. */
export function useFileColumn<T>(kind: string | undefined, idOf: (row: T) => string): readonly Column<T>[] {
  const all = useManaged(kind);
  if (all.size === 0) return [];
  const cell = (row: T) => {
    const managed = all.get(idOf(row));
    return managed ? <FileBadges managed={managed} /> : null;
  };
  return [{ label: "File", cell, card: "text", priority: 2 }];
}

interface Props {
  readonly kind: string;
  readonly id: string;
}

/** Where an object is from and what that means for its form; nothing for one that is in no file. */
export function ManagedNotice({ kind, id }: Props) {
  const managed = useManaged(kind).get(id);
  const isKnown = !isPending(useManagedQuery(kind));
  useRefresh(() => refresh(PATH));
  if (!managed) return isKnown ? null : <Waiting />;
  const { isDrifted, isLocked, mayUnlock, source, unlockedUntil } = managed;
  const place = placeOf(managed);
  const isShut = isLockedNow(managed);
  const changes = isDrifted && (
    <Button small onClick={() => openDialog(<DriftDialog managed={managed} />)}>
      Show changes
    </Button>
  );
  const unlock = isShut && mayUnlock && (
    <Button small onClick={() => openDialog(<UnlockDialog of={managed} />)}>
      Unlock for 8 h
    </Button>
  );
  const title = isShut ? `Locked: only ${place} changes it` : isLocked ? "Unlocked for a while" : `It is in ${place}`;
  return (
    <Banner
      tone={isLocked && !isShut ? "warn" : "info"}
      title={title}
      action={
        <span class="inline">
          {changes}
          {unlock}
        </span>
      }
    >
      {isShut ? (
        `It is in the configuration files of ${source}, which refuse changes made here. ${mayUnlock ? "Change the file, or unlock it when that cannot wait." : "Change the file."}`
      ) : (
        <>
          {isLocked && (
            <>
              Until <Time at={unlockedUntil} mode="clock" />.{" "}
            </>
          )}
          The next apply of {source} puts back what is changed here: change the file, too.
        </>
      )}
      {isDrifted && " It was changed since it was applied."}
    </Banner>
  );
}

interface FormProps extends Props {
  readonly children: ComponentChildren;
}

/** A part of a page that is read only while only files may change its object. */
export function LockedForm({ kind, id, children }: FormProps) {
  return (
    <fieldset class="plain-set as-content" disabled={useLock(kind, id)}>
      {children}
    </fieldset>
  );
}

/** {@link LockedForm} with the notice above it. */
export function Managed({ children, ...of }: FormProps) {
  return (
    <>
      <ManagedNotice {...of} />
      <LockedForm {...of}>{children}</LockedForm>
    </>
  );
}

const HOURS = 8;
type Named = Pick<ManagedObject, "kind" | "project" | "name">;

/** What the API calls an object of files. */
function referenceOf({ kind, project, name }: Named) {
  return { kind, name, ...(project !== null && { project }) };
}

/** Asks why, and opens a locked object for some hours. */
export function UnlockDialog({ of }: { readonly of: Named }) {
  const [reason, setReason] = useState("");
  const unlock = async () => {
    await api.post("/configuration/unlock", { ...referenceOf(of), forMs: HOURS * 3_600_000, reason: reason.trim() });
    invalidate("/configuration");
    toast.ok(`${of.name} can be changed here for ${HOURS} hours. The next apply puts it back: change the file, too.`);
  };
  return (
    <Dialog
      size="sm"
      title={`Unlock ${of.name}?`}
      subtitle={`For ${HOURS} hours it can be changed here and by the API.`}
      action={`Unlock for ${HOURS} h`}
      blocked={reason.trim() === ""}
      onSubmit={unlock}
    >
      <Field label="Reason" hint="It is in the audit trail." required>
        <Textarea value={reason} onChange={setReason} rows={2} maxLength={500} />
      </Field>
    </Dialog>
  );
}

type Member = ManagedDrift["members"][number];

function Value({ value }: { readonly value: unknown }) {
  if (value === undefined || value === null || value === "") return <span class="faint">none</span>;
  return <UserText mono>{typeof value === "string" ? value : JSON.stringify(value)}</UserText>;
}

const MEMBERS: readonly Column<Member>[] = [
  { label: "Member", cell: ({ path }) => <UserText mono>{path}</UserText>, card: "title" },
  { label: "In the files", cell: ({ before }) => <Value value={before} />, card: "text", cardLabel: true },
  { label: "Now", cell: ({ after }) => <Value value={after} />, card: "text", cardLabel: true },
];

/** Who changed an object by hand, and which of its members. */
export function DriftDialog({ managed }: { readonly managed: ManagedObject }) {
  const query = useGet<ManagedDrift>(`${PATH}/drift`, referenceOf(managed));
  return (
    <Dialog title={`Changes of ${managed.name}`} size="lg" subtitle={`Since ${placeOf(managed)} was applied.`}>
      <Loaded query={query}>
        {({ by, when, isDeleted, members }) => {
          const areShown = members.some((each) => "before" in each || "after" in each);
          return (
            <div class="stack">
              <p>
                {isDeleted ? "Deleted" : "Changed"} {by === null ? "" : `by ${by}, `}
                {when === null ? "by someone whom the audit trail does not name" : <Time at={when} />}. The next apply
                of {managed.source} {isDeleted ? "makes it again" : "puts it back"}; to keep it, change the file.
              </p>
              {members.length > 0 && (
                <DataTable<Member>
                  bare
                  dense
                  label="Changed members"
                  rows={members}
                  rowKey={({ path }) => path}
                  columns={areShown ? MEMBERS : MEMBERS.slice(0, 1)}
                />
              )}
              {members.length > 0 && !areShown && (
                <p class="muted small">The values are shown to those who may change it.</p>
              )}
            </div>
          );
        }}
      </Loaded>
    </Dialog>
  );
}

// Every form and button that is refused offers to unlock the object.
offerWithErrors((error) => {
  if (!(error instanceof PrismError) || error.code !== "MANAGED_BY_CODE") return undefined;
  const [detail] = error.details;
  const { kind, project = null, name } = (detail ?? {}) as Partial<Named>;
  if (kind === undefined || name === undefined) return undefined;
  return {
    label: `Unlock for ${HOURS} h`,
    run: () => {
      // The page has not known of the lock.
      invalidate(PATH);
      openDialog(<UnlockDialog of={{ kind, project, name }} />);
    },
  };
});

/** The page of an object. */
export function pageOfManaged({ kind, id, project }: ManagedObject): string | undefined {
  const ofProject = `?project=${encodeURIComponent(project ?? "")}`;
  const paths: Readonly<Record<string, string>> = {
    ...{ roles: "/people/roles", people: `/people/${id}`, projects: `/projects/${id}`, members: `/projects/${id}` },
    ...{ channels: `/connect/channels/${id}`, receivers: `/connect/receivers/${id}`, integrations: "/connect" },
    ...{ oncall: `/oncall/${id}`, policies: `/policies/${id}`, routes: `/policies/routes${ofProject}` },
    ...{ rules: `/rules/${id}`, heartbeats: `/heartbeats/${id}`, webhooks: "/webhooks", jobs: `/schedules/${id}` },
    ...{ statusPage: `/status-page${ofProject}`, buckets: "/buckets", ntfyAccess: `/projects/${id}?tab=topics` },
  };
  const path = paths[kind];
  return path === undefined ? undefined : href(path);
}
