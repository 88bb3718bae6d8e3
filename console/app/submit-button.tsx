import { Button, type ButtonProps } from "../ui/index.ts";

/** The button at the end of a form. */
export function SubmitButton(props: Pick<ButtonProps, "disabled" | "children">) {
  return (
    <div>
      <Button variant="primary" type="submit" {...props} />
    </div>
  );
}
