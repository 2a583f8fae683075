import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, lintGutter, setDiagnostics } from '@codemirror/lint';
import { EditorState, type Text } from '@codemirror/state';
import { EditorView, keymap, lineNumbers } from '@codemirror/view';
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import type { Schema } from '../api/client';
import { cedar, colours, look } from './cedar';

type Fault = Schema['FaultView'];

/** A place of the server's, whose columns count code points. */
function place(doc: Text, line: number, column: number): number {
  const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
  const before = [...at.text].slice(0, column - 1).join('');
  return Math.min(at.from + before.length, at.to);
}

function diagnostic(doc: Text, fault: Fault): Diagnostic {
  const from = place(doc, fault.line ?? 1, fault.column ?? 1);
  const end = fault.end_line ? place(doc, fault.end_line, fault.end_column ?? 1) : from;
  return {
    from,
    to: Math.max(from, end),
    severity: fault.severity === 'error' ? 'error' : 'warning',
    message: fault.help ? `${fault.message}\n${fault.help}` : fault.message,
  };
}

/** One file of a bundle, with the server's faults in their place. */
export default function PolicyEditor(props: {
  /** Another file is another editor. */
  name: string;
  text: string;
  faults: Fault[];
  readOnly: boolean;
  onChange: (text: string) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const changed = useRef(props.onChange);
  changed.current = props.onChange;
  const initial = useRef(props.text);
  initial.current = props.text;
  const dark = useComputedColorScheme('light') === 'dark';
  const { name, readOnly, faults } = props;
  useEffect(() => {
    if (!host.current) return;
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: initial.current,
        extensions: [
          lineNumbers(),
          history(),
          lintGutter(),
          keymap.of([...defaultKeymap, ...historyKeymap]),
          cedar,
          syntaxHighlighting(colours(dark)),
          EditorState.readOnly.of(readOnly),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': name }),
          look(dark),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) changed.current(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, [name, readOnly, dark]);
  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const { doc } = editor.state;
    const here = faults.filter((fault) => fault.file === name);
    editor.dispatch(
      setDiagnostics(
        editor.state,
        here.map((fault) => diagnostic(doc, fault)),
      ),
    );
  }, [faults, name]);
  return <div ref={host} className="editor" />;
}
