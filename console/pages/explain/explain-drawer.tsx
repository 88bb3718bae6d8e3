import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { Button, Drawer, ErrorState, openDialog, Skeleton, useClose } from "../../ui/index.ts";
import type { Story as StoryComponent, Subject } from "./story.tsx";

/** Shows the story beside a list. Its code is loaded when it is opened first. */
export function openStory(kind: Subject["kind"], id: string): void {
  openDialog(<ExplainDrawer subject={{ kind, id }} />);
}

function ExplainDrawer({ subject }: { readonly subject: Subject }) {
  const close = useClose();
  useBackCloses(close);
  const path = `/explain/${subject.kind}/${encodeURIComponent(subject.id)}`;
  return (
    <Drawer
      size="lg"
      title="Why did this happen?"
      subtitle="Step by step, and the answer at the end."
      footer={
        <>
          <Button href={href(path)}>Open as page</Button>
          <Button onClick={close}>Close</Button>
        </>
      }
    >
      <LazyStory subject={subject} />
    </Drawer>
  );
}

/** The back button closes what is open over the page, and does not leave the page. */
function useBackCloses(close: () => void): void {
  useLayoutEffect(() => {
    const entry = { overlay: Math.random() };
    const isOurs = () => (history.state as typeof entry | null)?.overlay === entry.overlay;
    history.pushState(entry, "");
    const onBack = () => {
      if (!isOurs()) close();
    };
    addEventListener("popstate", onBack);
    return () => {
      removeEventListener("popstate", onBack);
      // Closed in another way: the entry would need a second press of the button.
      if (isOurs()) history.back();
    };
  }, []);
}

function LazyStory({ subject }: { readonly subject: Subject }) {
  const [user, setUser] = useState("");
  const [Story, setStory] = useState<{ component: typeof StoryComponent }>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    import("./story.tsx").then((module) => setStory({ component: module.Story }), setError);
  }, []);
  if (error !== undefined) return <ErrorState error={error} title="The story could not be loaded" />;
  if (!Story) return <Skeleton kind="text" count={6} />;
  return <Story.component subject={subject} user={user} onUser={setUser} />;
}
