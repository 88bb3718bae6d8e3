import type { Integration, Receiver } from "../../../src/client/api-types.gen.ts";
import { useProjects } from "../../app/projects.ts";
import { can } from "../../app/session.ts";
import { Fields } from "../../forms/fields.tsx";
import { integration } from "../../forms/integration.gen.ts";
import { receiver } from "../../forms/receiver.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Badge, Dialog, openDialog, plural, toast } from "../../ui/index.ts";

type Source = Receiver | Integration;

interface Target {
  readonly forwardUrl?: string | null;
  readonly forwardHeaders?: readonly string[] | null;
}

/** Whether the user may set where something of the project passes its requests on: an owner of a mirror. */
export function useMayForward(): (projectId: string) => boolean {
  const projects = useProjects();
  return (projectId) => {
    const project = projects.find(({ id }) => id === projectId);
    return project?.settings.mirror != null && (project.role === "owner" || can("projects:all"));
  };
}

/** Whether its requests reach the other system; nothing where they are not passed on. */
export function ForwardBadge({ of: { forward } }: { readonly of: Pick<Source, "forward"> }) {
  if (forward === null) return null;
  const { problem, waiting } = forward;
  const waits = waiting === 0 ? "" : `; ${plural(waiting, "request waits", "requests wait")}`;
  return (
    <Badge tone={problem === null ? "ok" : "warn"} title={`${problem ?? "Requests are passed on"}${waits}`}>
      {problem === null ? "passed on" : "not passed on"}
    </Badge>
  );
}

export function openForward(kind: "receivers" | "integrations", source: Source, done: () => void): void {
  openDialog(<ForwardDialog kind={kind} source={source} done={done} />);
}

interface Props {
  readonly kind: "receivers" | "integrations";
  readonly source: Source;
  readonly done: () => void;
}

function ForwardDialog({ kind, source, done }: Props) {
  const described = kind === "receivers" ? receiver : integration;
  const form = useResource<Target, Source>(described, { stored: source });
  const { forwardUrl } = form.edits;
  const isOn = source.forward !== null;
  const save = async () => {
    if (!(await form.send())) return false;
    toast.ok(forwardUrl === null ? "Requests are no longer passed on." : "Accepted requests are passed on.");
    done();
    return undefined;
  };
  const hint =
    kind === "receivers"
      ? "Where the sender delivered before, with its token. It is never shown again."
      : "The address of the other system, such as https://api.opsgenie.com; the path of each request follows it.";
  return (
    <Dialog title={`Pass requests of ${source.name} on`} size="md" onSubmit={save} action="Save">
      <p>
        The mirror&rsquo;s other system gets each request after Prism has stored it.
        {isOn && " An address is set; an empty one ends it."}
      </p>
      <Fields
        of={form}
        show={[
          {
            name: "forwardUrl",
            label: "Address in the other system",
            hint,
            autocomplete: "off",
            placeholder: "https://",
          },
          { name: "forwardHeaders", label: "More headers" },
        ]}
      />
    </Dialog>
  );
}
