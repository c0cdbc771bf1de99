/** What the rest of the editor uses of the document. */
export * from "./types";
export { createDocument } from "./store";
export { applyCommand, CommandError, several, type Applied } from "./commands";
export { linkIndex, type Adjacent } from "./adjacency";
export { commandFromText, commandToText, stepFromText, stepToText } from "./journal";
export { defaultOf, effectiveInputs, readInput, readSpec, readSpecs } from "./specs";
export { shownInputs, specOf, type ShownInput } from "./shown";
export {
  choicesWithin,
  compatible,
  isWildcard,
  typeIndex,
  wouldCycle,
  type Partner,
  type TypeIndex,
} from "./typeRules";
export { CONTROL_MODES, controlName, filterName, hasControl, isEditorValue } from "./widgets";
export { freeIds, newNode, nextGroupId, nextLinkId, nextNodeId } from "./nodes";
export { DocumentError } from "./problems";
export {
  emptyWorkflow,
  formOf,
  inForm,
  nativeFormNeeded,
  openText,
  parseJson,
  readWorkflow,
  saveText,
  workflowJson,
  type Form,
} from "./open";
export { type Watch } from "./slices";
export { exactText } from "./exact";
export { openFile, readFile, type FileContents } from "./files";
export { PromptError, toPrompt, VIRTUAL_TYPES, type Prompt, type PromptNode } from "./prompt";
export { layout, likelyHeight, type Placed } from "./layout";
export {
  align,
  bounds,
  distribute,
  fitGroup,
  groupNodes,
  moveGroup,
  setMembers,
  tidy,
  toggleMode,
  type Edge,
} from "./operations/arrange";
export { clipFromText, clipToText, copy, duplicate, paste, type Clip, type Pasted } from "./operations/clipboard";
export { groupToSubgraph, isGroupNode } from "./operations/groupNodes";
export { connect, insertReroute, removeKeepingLinks } from "./operations/links";
export { movePort, promoteInput, promoteOutput, removePort, renamePort } from "./operations/ports";
export { migrate, replaceType, type Migrated, type Migration } from "./operations/replace";
export { instancesOf, newDefinitionId, OperationError, toSubgraph, unpack } from "./operations/subgraphs";
