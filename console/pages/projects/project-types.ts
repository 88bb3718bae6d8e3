export const ROLE_OPTIONS = [
  { value: "viewer", label: "Viewer", hint: "reads events and streams" },
  { value: "editor", label: "Editor", hint: "also sends events and reads rules and keys" },
  { value: "owner", label: "Owner", hint: "also changes members, keys and settings" },
];
