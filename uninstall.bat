@echo off
rem Removes Scream: starts screamctl for the processor of this computer, and hands it all arguments.
rem Try uninstall.bat --help. The exit code is screamctl's: 0 done, 3010 done after a restart of Windows, 1 or 2 failed.
setlocal EnableExtensions DisableDelayedExpansion

set "SCREAM_FOLDER="
if /i "%PROCESSOR_ARCHITECTURE%"=="AMD64" set "SCREAM_FOLDER=x64"
if /i "%PROCESSOR_ARCHITEW6432%"=="AMD64" set "SCREAM_FOLDER=x64"
if /i "%PROCESSOR_ARCHITECTURE%"=="ARM64" set "SCREAM_FOLDER=arm64"
if /i "%PROCESSOR_ARCHITEW6432%"=="ARM64" set "SCREAM_FOLDER=arm64"
rem On ARM64 a command prompt that an x64 program has started says AMD64; the registry knows better.
set "SCREAM_KEY=HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
for /f "tokens=3" %%A in ('%SystemRoot%\System32\reg.exe query "%SCREAM_KEY%" /v PROCESSOR_ARCHITECTURE 2^>nul') do if /i "%%A"=="ARM64" set "SCREAM_FOLDER=arm64"

set "SCREAM_UNATTENDED="
for %%A in (%*) do if /i "%%~A"=="--unattended" set "SCREAM_UNATTENDED=1"

set "SCREAM_PROBLEM="
if not exist "%~dp0%SCREAM_FOLDER%\screamctl.exe" set "SCREAM_PROBLEM=%SCREAM_FOLDER%\screamctl.exe is missing: unpack all of the zip, and start the uninstall.bat in there"
if exist "%~dp0Cargo.toml" set "SCREAM_PROBLEM=these are the sources: start the uninstall.bat of the package that cargo xtask package makes of them"
if not defined SCREAM_FOLDER set "SCREAM_PROBLEM=this computer is %PROCESSOR_ARCHITECTURE%, and Scream is for 64-bit Windows on x64 and ARM64"

set "SCREAM_RESULT=1"
if defined SCREAM_PROBLEM >&2 echo error: %SCREAM_PROBLEM%
if not defined SCREAM_PROBLEM "%~dp0%SCREAM_FOLDER%\screamctl.exe" uninstall --elevate %*
if not defined SCREAM_PROBLEM set "SCREAM_RESULT=%ERRORLEVEL%"

if not "%SCREAM_RESULT%"=="0" if not "%SCREAM_RESULT%"=="3010" if not defined SCREAM_UNATTENDED pause
exit /b %SCREAM_RESULT%
