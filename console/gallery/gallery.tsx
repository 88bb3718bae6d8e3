import { Palette, Plus } from "lucide";
import { useState } from "preact/hooks";
import { Button, Page, Segmented, setTheme, Tabs, type Theme, theme } from "../ui/index.ts";
import { ActionsSection } from "./actions-section.tsx";
import { DataSection } from "./data-section.tsx";
import { FormsSection } from "./forms-section.tsx";
import { StatesSection } from "./states-section.tsx";
import { StorySection } from "./story-section.tsx";
import { TableSection } from "./table-section.tsx";

const SECTIONS = {
  story: { label: "Overview and story", content: StorySection },
  actions: { label: "Actions", content: ActionsSection },
  forms: { label: "Forms", content: FormsSection },
  states: { label: "States", content: StatesSection },
  data: { label: "Data", content: DataSection },
  tables: { label: "Tables", content: TableSection },
} as const;
type SectionName = keyof typeof SECTIONS;

const THEMES = ["system", "light", "dark"].map((value) => ({ value, label: value }));

function firstSection(): SectionName {
  const wanted = location.hash.slice(1);
  return Object.hasOwn(SECTIONS, wanted) ? (wanted as SectionName) : "story";
}

/** Every component of the design system in every state, with friendly and with hostile data. */
export default function Gallery() {
  const [name, setName] = useState<SectionName>(firstSection);
  const Section = SECTIONS[name].content;
  const show = (next: string) => {
    setName(next as SectionName);
    history.replaceState(history.state, "", `#${next}`);
  };
  return (
    <Page
      title="Gallery"
      subtitle="What the design system of the console looks like, in each state"
      actions={
        <>
          <Segmented label="Theme" value={theme.value} onChange={(next) => setTheme(next as Theme)} options={THEMES} />
          <Button variant="primary" icon={Plus}>
            New rule
          </Button>
        </>
      }
      tabs={
        <Tabs
          label="Sections"
          value={name}
          onChange={show}
          tabs={Object.entries(SECTIONS).map(([value, { label }]) => ({
            value,
            label,
            icon: value === "story" ? Palette : undefined,
          }))}
        />
      }
    >
      <Section />
    </Page>
  );
}
