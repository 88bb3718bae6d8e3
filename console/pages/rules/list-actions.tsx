import { Download, SlidersHorizontal, Upload } from "lucide";
import { useProjects } from "../../app/projects.ts";
import type { ListResult } from "../../app/query.ts";
import { Menu, Switch, toast } from "../../ui/index.ts";
import { allRules, exportFile, importFile, setActive } from "./rule-actions.ts";
import type { Rule } from "./types.ts";

interface ActionsProps {
  readonly isWritable: boolean;
  readonly filter: Readonly<Record<string, string | undefined>>;
}

/** Export and import of rules. */
export function RuleFiles({ isWritable, filter }: ActionsProps) {
  const projects = useProjects();
  const exportAll = async () => exportFile(await allRules(filter), projects);
  return (
    <Menu
      label="Import and export"
      icon={SlidersHorizontal}
      variant="default"
      items={[
        { label: "Export these rules as JSON", icon: Download, onSelect: exportAll },
        ...(isWritable ? [{ label: "Import rules from a file", icon: Upload, onSelect: chooseFile }] : []),
      ]}
    />
  );
}

function chooseFile(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "application/json,.json";
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    if (file) importFile(file).catch((error: unknown) => toast.error(readable(error) as Error));
  });
  input.click();
}

function readable(error: unknown): unknown {
  return error instanceof SyntaxError ? "The file is not JSON." : error;
}

interface OnOffProps {
  readonly rule: Rule;
  readonly list: ListResult<Rule>;
  readonly onChanged: () => void;
}

/** Enables and disables a rule in a list, which shows it at once. */
export function OnOff({ rule, list, onChanged }: OnOffProps) {
  const { id, name, active } = rule;
  const show = (isShown: boolean) =>
    list.change((items) => items.map((item) => (item.id === id ? { ...item, active: isShown } : item)));
  const toggle = async (isActive: boolean) => {
    show(isActive);
    try {
      await setActive(id, isActive);
      const text = isActive ? `“${name}” is enabled` : `“${name}” is disabled`;
      toast.ok(text, { undo: () => toggle(!isActive) });
    } catch (error) {
      show(!isActive);
      throw error;
    } finally {
      // An answer that was under way has the state before.
      list.reload();
      onChanged();
    }
  };
  return <Switch checked={active} onChange={toggle} label={`Enable ${name}`} hideLabel />;
}
