import {
  Button,
  Center,
  Group,
  Paper,
  PasswordInput,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, data, Refused, setCsrf } from '../api/client';
import { queryClient, session } from '../api/queries';
import { Preferences } from '../app/shell';
import { Fault } from '../ui/parts';

export function Login() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { next } = useSearch({ from: '/login' });
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const signIn = useMutation({
    mutationFn: () => data(api.POST('/api/v1/session', { body: { user, password } })),
    onSuccess: async (signedIn) => {
      setCsrf(signedIn.csrf);
      queryClient.setQueryData(session.queryKey, signedIn);
      // Only an address of this console: never where somebody else's link points.
      const safe = next?.startsWith('/') && !next.startsWith('//') ? next : '/';
      await navigate({ href: safe });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate();
  };
  const refused = signIn.error instanceof Refused ? signIn.error : undefined;
  return (
    <Center mih="100vh" p="md">
      <Paper withBorder p="xl" w={400} component="main">
        <form onSubmit={submit}>
          <Stack>
            <Group gap="sm">
              <img src="/icon.svg" alt="" width={34} height={34} />
              <div>
                <Title order={1} size="h3">
                  Reeve
                </Title>
                <Text c="dimmed" size="sm">
                  {t('login.note')}
                </Text>
              </div>
            </Group>
            <TextInput
              label={t('login.user')}
              autoComplete="username"
              required
              value={user}
              error={refused?.field('user')}
              onChange={(event) => setUser(event.currentTarget.value)}
            />
            <PasswordInput
              label={t('login.password')}
              autoComplete="current-password"
              required
              value={password}
              error={refused?.field('password')}
              visibilityToggleButtonProps={{ 'aria-label': t('login.show') }}
              onChange={(event) => setPassword(event.currentTarget.value)}
            />
            {signIn.isError && <Fault error={signIn.error} />}
            <Button type="submit" loading={signIn.isPending}>
              {t('login.submit')}
            </Button>
            <Group justify="center">
              <Preferences />
            </Group>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
