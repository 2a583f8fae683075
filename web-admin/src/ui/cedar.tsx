import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';

const KEYWORD =
  /^(?:permit|forbid|when|unless|if|then|else|in|like|has|is|principal|action|resource|context|true|false)\b/;

/** Cedar's words, texts, annotations and comments; the server is who validates. */
export const cedar = StreamLanguage.define<null>({
  startState: () => null,
  token(stream) {
    if (stream.match(/^\/\/.*/)) return 'comment';
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return 'string';
    if (stream.match(/^@\w+/)) return 'meta';
    if (stream.match(KEYWORD)) return 'keyword';
    if (stream.match(/^[A-Z]\w*(?=::)/)) return 'typeName';
    if (stream.match(/^\d+/)) return 'number';
    if (stream.match(/^\w+/)) return 'variableName';
    stream.next();
    return null;
  },
});

export const colours = (dark: boolean) =>
  HighlightStyle.define([
    { tag: tags.keyword, color: dark ? '#ffa8a8' : '#9c1c4c', fontWeight: '600' },
    { tag: tags.string, color: dark ? '#a5d8ff' : '#0b5394' },
    { tag: tags.comment, color: dark ? '#b3b6bb' : '#50575e', fontStyle: 'italic' },
    { tag: tags.meta, color: dark ? '#ffd8a8' : '#7a4100' },
    { tag: tags.typeName, color: dark ? '#b2f2bb' : '#1e6b2e' },
    { tag: tags.number, color: dark ? '#eebefa' : '#6b2a91' },
  ]);

export const look = (dark: boolean) =>
  EditorView.theme(
    {
      '&': { fontSize: '0.85rem', backgroundColor: 'transparent' },
      '.cm-gutters': {
        backgroundColor: 'transparent',
        color: 'var(--mantine-color-dimmed)',
        border: 'none',
      },
    },
    { dark },
  );

/** Cedar's text, to be read. */
export default function Cedar({ text, label }: { text: string; label: string }) {
  const host = useRef<HTMLDivElement>(null);
  const dark = useComputedColorScheme('light') === 'dark';
  useEffect(() => {
    if (!host.current) return;
    const view = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: text,
        extensions: [
          lineNumbers(),
          cedar,
          syntaxHighlighting(colours(dark)),
          EditorState.readOnly.of(true),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label, 'aria-readonly': 'true' }),
          look(dark),
        ],
      }),
    });
    return () => view.destroy();
  }, [text, label, dark]);
  return <div ref={host} />;
}
