import { useState } from "preact/hooks";
import type { ExportedConfiguration } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useProjects } from "../../app/projects.ts";
import { saveFile } from "../../app/save-file.ts";
import { can } from "../../app/session.ts";
import { CodeBlock, choices, Dialog, Field, Segmented, Select, Switch, toast, UserText } from "../../ui/index.ts";

const FORMATS = choices({ yaml: "YAML", json: "JSON" });
const SECRETS = choices({ env: "As names of variables", omit: "Left out" });

/** Downloads what is stored as a configuration file. */
export function ExportDialog() {
  const [project, setProject] = useState("");
  const [format, setFormat] = useState<string>("yaml");
  const [secrets, setSecrets] = useState<string>("env");
  const [people, setPeople] = useState(false);
  const projects = useProjects().map(({ slug, name }) => ({ value: slug, label: name }));
  const save = async () => {
    const query = { project, format, secrets, people };
    const { document, text, variables, leftOut } = await api.get<ExportedConfiguration>("/configuration/export", query);
    const content = text ?? `${JSON.stringify(document, null, 2)}\n`;
    const name = `${project === "" ? "prism" : encodeURIComponent(project)}.${format}`;
    saveFile(new Blob([content], { type: `application/${format}` }), name);
    if (variables.length + leftOut.length > 0) return <Exported {...{ name, variables, leftOut }} />;
    toast.ok(`${name} is downloaded.`);
    return undefined;
  };
  return (
    <Dialog
      title="Export the configuration"
      subtitle="A file for prism plan and prism apply, with names in place of ids."
      action="Download"
      onSubmit={save}
    >
      <Field label="What">
        <Select
          value={project}
          onChange={setProject}
          options={[{ value: "", label: "The server and all projects" }, ...projects]}
        />
      </Field>
      <Field label="Format">
        <Segmented label="Format" value={format} onChange={setFormat} options={FORMATS} />
      </Field>
      <Field label="Secrets" hint="Their values are never in the file.">
        <Segmented label="Secrets" value={secrets} onChange={setSecrets} options={SECRETS} />
      </Field>
      {can("users:read") && <Switch label="Accounts of people, too" checked={people} onChange={setPeople} />}
    </Dialog>
  );
}

function Exported({
  name,
  variables,
  leftOut,
}: Omit<ExportedConfiguration, "document" | "notes"> & { readonly name: string }) {
  const missing = leftOut.map(({ kind, project }) => (project === null ? kind : `${kind} of ${project}`));
  return (
    <Dialog title={`${name} is downloaded`}>
      {variables.length > 0 && (
        <>
          <p>Set these variables where prism apply runs. A secret without a value stays as it is stored.</p>
          <CodeBlock label="Variables" text={variables.join("\n")} maxHeight={240} />
        </>
      )}
      {missing.length > 0 && (
        <p>
          Left out, because you may not read it: <UserText>{missing.join(", ")}</UserText>.
        </p>
      )}
    </Dialog>
  );
}
