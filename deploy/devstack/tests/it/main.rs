//! Each real server: started, killed, frozen, started again, with its data kept.

mod chaos;
mod cluster;
mod lifetime;
mod mariadb;
mod rabbit;
mod redis;
mod stack;
