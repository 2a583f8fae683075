import {
  AppShell,
  Burger,
  Button,
  Group,
  NavLink,
  SegmentedControl,
  Text,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { api } from '../api/client';
import { queryClient, session } from '../api/queries';
import { type Language, setLanguage } from './i18n';

const PLACES = [
  { to: '/', key: 'overview' },
  { to: '/audit', key: 'audit' },
  { to: '/tenants', key: 'tenants' },
  { to: '/policy', key: 'policy' },
  { to: '/changes', key: 'changes' },
  { to: '/emergency', key: 'emergency' },
  { to: '/evidence', key: 'evidence' },
  { to: '/keeping', key: 'keeping' },
  { to: '/usage', key: 'usage' },
  { to: '/models', key: 'models' },
] as const;

export function Preferences() {
  const { t, i18n } = useTranslation();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  return (
    <Group gap="xs">
      <SegmentedControl
        size="xs"
        aria-label={t('shell.language')}
        value={i18n.language}
        onChange={(value) => setLanguage(value as Language)}
        data={[
          { value: 'en', label: 'English' },
          { value: 'zh', label: '中文' },
        ]}
      />
      <Button
        size="xs"
        variant="default"
        onClick={() => setColorScheme(scheme === 'dark' ? 'light' : 'dark')}
      >
        {scheme === 'dark' ? t('shell.light') : t('shell.dark')}
      </Button>
    </Group>
  );
}

export function Shell() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [open, { toggle, close }] = useDisclosure();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const { data, isError } = useQuery(session);
  useEffect(() => {
    if (isError) void navigate({ to: '/login', search: { next: path } });
  }, [isError, navigate, path]);
  const signOut = async () => {
    await api.DELETE('/api/v1/session');
    queryClient.clear();
    await navigate({ to: '/login', search: { next: undefined } });
  };
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 210, breakpoint: 'sm', collapsed: { mobile: !open } }}
      padding="lg"
    >
      <a className="skip" href="#content">
        {t('shell.skip')}
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              opened={open}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={t('shell.menu')}
            />
            <img src="/icon.svg" alt="" width={26} height={26} />
            <Text fw={700} size="lg">
              Reeve
            </Text>
          </Group>
          <Group gap="md" wrap="nowrap">
            <Preferences />
            <Text size="sm" visibleFrom="md">
              {data?.user.display_name}
            </Text>
            <Button size="xs" variant="default" onClick={signOut}>
              {t('shell.signOut')}
            </Button>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={t('shell.menu')}>
        {PLACES.map(({ to, key }) => (
          <NavLink
            key={to}
            component={Link}
            to={to}
            label={t(`nav.${key}`)}
            active={to === '/' ? path === '/' : path.startsWith(to)}
            onClick={close}
          />
        ))}
      </AppShell.Navbar>
      <AppShell.Main id="content">
        <Outlet />
      </AppShell.Main>
    </AppShell>
  );
}
